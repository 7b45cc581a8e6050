#!/usr/bin/env node
// How many studies a second go all the way, from the 200 of STOW-RS to a result that may be read, when the network itself takes next to nothing?
// Limits: 25 a second with the queue on PostgreSQL, 50 with Redis, on two cores, which the load, the product and the database share.
// A study is one small radiograph; what becomes of it is what becomes of every study: settled, planned, run, its DICOM SR written and checked, told of.
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Pool } from 'undici';
import { buildIfStale } from '../src/cli/build.mjs';
import { percentile, report, ROOT, startProduct, temporaryDirectory } from './measure.mjs';

if (process.argv.includes('--help')) {
  console.log('usage: npm run bench:flow -- [--studies N] [--backends postgres,redis] [--roles all|split]   (default 1500 studies, both backends, one process for all roles)');
  process.exit(0);
}
const option = (name, otherwise) => (process.argv.includes(name) ? process.argv[process.argv.indexOf(name) + 1] : otherwise);
// Enough that the seconds in which the first of them settle and the last ones end weigh little.
const STUDIES = Number(option('--studies', 1500));
const ROLES = option('--roles', 'all');
const LIMITS = { postgres: 25, redis: 50 };
const UPLOADS_AT_A_TIME = 8;
// Some more than come between two looks.
const RESULTS_AT_A_TIME = 50;
// What lasts is measured: the compilers of Node.js take some hundred studies, and PostgreSQL plans anew when its tables have grown from nothing.
const WARM_UP = 400;
const TICKS = Number(spawnSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }).stdout) || 100;

buildIfStale();
const { wrapImage } = await import(new URL('../dist/src/imaging/dicom/wrap-image.js', import.meta.url).href);
const { newDicomUid } = await import(new URL('../dist/src/kernel/uid.js', import.meta.url).href);
const rows = [];
for (const backend of option('--backends', 'postgres,redis').split(',')) {
  if (backend === 'redis' && spawnSync('redis-server', ['--version']).status !== 0) {
    console.log('SKIPPED redis: no redis-server here');
    continue;
  }
  rows.push(await measure(backend));
}
report('flow', rows, rows.every(({ within }) => within));

async function measure(backend) {
  const modelsDir = join(temporaryDirectory(), 'models');
  mkdirSync(modelsDir, { recursive: true });
  cpSync(join(ROOT, 'test', 'model-packs', 'bright'), join(modelsDir, 'bright'), { recursive: true });
  const redis = backend === 'redis' ? await startRedis() : undefined;
  const env = { MODELS_DIR: modelsDir, SETTLE_SECONDS: '1', RATE_LIMIT_PRINCIPAL: '0', RATE_LIMIT_ADDRESS: '0', QUEUE_BACKEND: backend, WORKER_CONCURRENCY: '2', INFERENCE_THREADS: '1', ...(redis && { REDIS_URL: redis.url }) };
  const api = await startProduct({ ...env, APP_ROLE: ROLES === 'split' ? 'api' : 'all' });
  const worker = ROLES === 'split' ? await startProduct({ ...env, APP_ROLE: 'worker' }, api.dataDir) : undefined;
  while (!(await (await api.fetch('/api/v1/models')).json()).items.some(({ state }) => state === 'active')) await pause(200);
  const pool = new Pool(api.url, { connections: UPLOADS_AT_A_TIME });
  await flow(api, pool, WARM_UP);
  const before = cpuSeconds(api, worker);
  const { accepted, ended, seconds } = await flow(api, pool, STUDIES);
  const cpu = cpuSeconds(api, worker);
  await pool.close();
  await worker?.stop();
  await api.stop();
  redis?.stop();
  const perSecond = STUDIES / seconds;
  const latency = [...accepted].map(([uid, at]) => ended.get(uid) - at);
  const perStudy = (key) => round(((cpu[key] - before[key]) / STUDIES) * 1000);
  return {
    backend, studies: STUDIES, perSecond: round(perSecond), limit: `≥ ${LIMITS[backend]}`, within: perSecond >= LIMITS[backend],
    medianSeconds: round(percentile(latency, 0.5) / 1000), p95Seconds: round(percentile(latency, 0.95) / 1000),
    productCpuMs: perStudy('product'), databaseCpuMs: perStudy('database'),
  };
}

/** Sends studies as fast as they are taken, and waits until each has its result. */
async function flow(api, pool, count) {
  // Made before the clock starts: the load shares the processors with what it measures.
  const studies = Array.from({ length: count }, (_, seed) => {
    const uid = newDicomUid();
    return { uid, body: multipart(radiograph(uid, seed)) };
  });
  const accepted = new Map();
  const started = performance.now();
  const waiting = studies.values();
  const send = async () => {
    for (const { uid, body } of waiting) {
      const { statusCode, body: answer } = await pool.request({ path: '/dicom-web/studies', method: 'POST', headers: { 'authorization': await api.authorization(), 'content-type': 'multipart/related; type="application/dicom"; boundary=bench' }, body });
      await answer.dump();
      if (statusCode !== 200) throw new Error(`STOW-RS answered ${String(statusCode)}`);
      accepted.set(uid, performance.now());
    }
  };
  const sending = Promise.all(Array.from({ length: UPLOADS_AT_A_TIME }, send));
  const ended = new Map();
  const look = async () => {
    for (let cursor; ;) {
      const page = await (await api.fetch(`/api/v1/results?limit=${RESULTS_AT_A_TIME}${cursor ? `&cursor=${cursor}` : ''}`)).json();
      const fresh = page.items.filter(({ studyInstanceUid }) => accepted.has(studyInstanceUid) && !ended.has(studyInstanceUid));
      for (const { studyInstanceUid, status } of fresh) {
        if (status === 'withheld') throw new Error('a result was withheld');
        ended.set(studyInstanceUid, performance.now());
      }
      cursor = page.nextCursor;
      if (!cursor || fresh.length === 0) return;
    }
  };
  while (ended.size < count) {
    await pause(500);
    await look();
    if (performance.now() - started > 600_000) throw new Error(`only ${String(ended.size)} of ${String(count)} studies have a result after ten minutes`);
  }
  await sending;
  return { accepted, ended, seconds: (performance.now() - started) / 1000 };
}

function radiograph(studyInstanceUid, seed) {
  const pixels = Uint8Array.from({ length: 64 * 64 }, (_, i) => 128 + 80 * Math.sin(i / (40 + (seed % 50))) + (i % 17));
  return wrapImage({ pixels, width: 64, height: 64, channels: 1, bits: 8 }, { modality: 'DX', bodyPart: 'CHEST', viewPosition: 'PA', patientId: `flow-${String(seed)}`, studyInstanceUid, seriesInstanceUid: newDicomUid(), sopInstanceUid: newDicomUid() });
}

function multipart(bytes) {
  return Buffer.concat([Buffer.from('--bench\r\nContent-Type: application/dicom\r\n\r\n'), bytes, Buffer.from('\r\n--bench--\r\n')]);
}

/** Of the product's processes, and of the database's, which are no children of theirs. */
function cpuSeconds(...products) {
  const own = new Set(products.filter(Boolean).map(({ pid }) => pid));
  const used = { product: 0, database: 0 };
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      const seconds = (Number(fields[11]) + Number(fields[12])) / TICKS;
      if (own.has(Number(name))) used.product += seconds;
      else if (readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(products[0].dataDir) || belongsTo(fields[1], products[0].dataDir)) used.database += seconds;
    } catch {
      // It has ended.
    }
  }
  return used;
}

/** Backends of PostgreSQL name themselves, their parent names its folder. */
function belongsTo(parent, dataDir) {
  return readFileSync(`/proc/${parent}/cmdline`, 'utf8').includes(dataDir);
}

async function startRedis() {
  const port = 20_000 + Math.floor(Math.random() * 20_000);
  const child = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--maxmemory-policy', 'noeviction'], { stdio: 'ignore' });
  process.on('exit', () => child.kill('SIGKILL'));
  await pause(500);
  return { url: `redis://127.0.0.1:${String(port)}`, stop: () => child.kill('SIGTERM') };
}

function pause(ms) {
  return new Promise((resolve) => { setTimeout(resolve, ms); });
}

function round(value) {
  return Math.round(value * 100) / 100;
}
