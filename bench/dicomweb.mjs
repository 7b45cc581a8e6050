#!/usr/bin/env node
// The product beside Orthanc with its PostgreSQL index: the same client, the same bytes, round by round in turn. Orthanc runs without
// encryption, authentication and audit, the product with all three.
import { execFile, spawnSync } from 'node:child_process';
import { Agent, request } from 'node:http';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { orthancIsMissing, startOrthanc } from '../test/support/orthanc.mjs';
import { newUid, patientIdOf, stowBody } from './ct-instances.mjs';
import { percentile, report, startProduct } from './measure.mjs';

const HELP = `usage: npm run bench:dicomweb -- [options]
  --scale S      share of Orthanc's own recipe, 5 clients × 5 studies × 4 series × 250 small instances (default 0.08: 20 a series; 1 is the whole)
  --studies N    CT studies of 100 instances of 0.5 MB each round (default 10)
  --rounds N     rounds; the medians count (default 3)
  --seconds N    how long each kind of query is asked (default 3)
  --only A,B     these measures only, by their names in the table; what reads needs "stow" before it
  --sqlite       Orthanc with its SQLite index, the faster one, instead of PostgreSQL
  --no-rival     the product alone
Orthanc and curl come from Debian: apt-get install orthanc orthanc-dicomweb orthanc-postgresql postgresql curl`;
if (process.argv.includes('--help')) {
  console.log(HELP);
  process.exit(0);
}
const [SCALE, STUDIES, ROUNDS, SECONDS] = [option('--scale', 0.08), option('--studies', 10), option('--rounds', 3), option('--seconds', 3)];
const ALONE = process.argv.includes('--no-rival');
const SQLITE = process.argv.includes('--sqlite');

const CLIENTS = 5;
const RECIPE = { studies: 5, series: 4, instances: Math.max(1, Math.round(250 * SCALE)) };
const PER_REQUEST = 10;
const JSON_TYPE = 'application/dicom+json';
const CT_INSTANCES = 100;
const CT_SIDE = 512;
const SMALL_SIDE = 64;
/** What the product must reach, in times of Orthanc with PostgreSQL; what has no limit is told only. */
const LIMITS = { recipe: 2, 'recipe, one a request': null, stow: 2, 'qido list': 10, 'qido patient': 6, 'wado study': 2, metadata: 5 };
const LIMIT_MB = 400;

const missing = spawnSync('curl', ['--version']).error ? 'curl is not installed' : ALONE ? undefined : orthancIsMissing({ postgres: !SQLITE });
if (missing !== undefined) {
  console.log(`SKIPPED: ${missing}; --no-rival measures the product alone, without Orthanc`);
  process.exit(0);
}

const product = await startProduct({ APP_ROLE: 'api', SETTLE_SECONDS: '3600' });
const orthanc = ALONE ? undefined : await startOrthanc({ postgres: !SQLITE });
const sides = [
  ...(orthanc ? [{ name: 'rival', url: orthanc.url, pid: orthanc.pid, pids: [orthanc.pid, orthanc.databasePid], headers: async () => ({}) }] : []),
  { name: 'product', url: product.url, pid: product.pid, pids: [product.pid, postmasterOf(product.dataDir)], headers: async () => ({ authorization: await product.authorization() }) },
].map((side) => ({ ...side, agent: new Agent({ keepAlive: true, maxSockets: 16 }), studies: [], patients: 0, peakBytes: 0 }));
const sampler = setInterval(() => { for (const side of sides) side.peakBytes = Math.max(side.peakBytes, residentBytes(side.pid)); }, 100);

const MEASURES = {
  /** Instances a second. */
  recipe: (side) => storeRecipe(side, PER_REQUEST),
  'recipe, one a request': (side) => storeRecipe(side, 1, 0.25),
  stow: (side) => storeCt(side),
  /** Requests a second. */
  'qido list': (side) => ask(side, () => '/dicom-web/studies?limit=25', (found) => found.length === 25),
  'qido patient': (side) => ask(side, (i) => `/dicom-web/studies?PatientID=${patientIdOf(side.studies[i % side.studies.length].patient)}`, (found) => found.length === 1),
  /** Studies a second, one after the other. */
  'wado study': (side) => retrieveEach(side, (uid) => `/dicom-web/studies/${uid}`, 'multipart/related; type="application/dicom"; transfer-syntax=*', CT_INSTANCES * CT_SIDE ** 2 * 2),
  metadata: (side) => retrieveEach(side, (uid) => `/dicom-web/studies/${uid}/metadata`, JSON_TYPE, CT_INSTANCES * 1000),
};
const UNITS = { recipe: 'instances/s', 'recipe, one a request': 'instances/s', stow: 'instances/s', 'qido list': 'requests/s', 'qido patient': 'requests/s', 'wado study': 'studies/s', metadata: 'studies/s' };

const only = text('--only')?.split(',');
for (const name of only ?? []) if (!(name in MEASURES)) throw new Error(`there is no measure "${name}"; there are ${Object.keys(MEASURES).join(', ')}`);
const chosen = Object.entries(MEASURES).filter(([name]) => only?.includes(name) ?? true);
const values = Object.fromEntries(chosen.map(([measure]) => [measure, { rival: [], product: [] }]));
/** Processor time of an operation, server and database together: what a busy machine changes least. */
const costs = Object.fromEntries(chosen.map(([measure]) => [measure, { rival: [], product: [] }]));
// Neither side is measured cold.
for (const side of sides) await storeCt(side, Math.min(STUDIES, 3));
for (let round = 0; round < ROUNDS; round++) {
  for (const [measure, run] of chosen) {
    for (const side of sides) {
      const before = processorSeconds(side.pids);
      const { rate, operations } = await run(side);
      const cost = 1000 * (processorSeconds(side.pids) - before) / operations;
      values[measure][side.name].push(rate);
      costs[measure][side.name].push(cost);
      console.error(`round ${String(round + 1)}: ${measure}, ${side.name}: ${String(figure(rate))} ${UNITS[measure]}, ${String(figure(cost))} ms of processor time each`);
    }
  }
}
clearInterval(sampler);
for (const { agent } of sides) agent.destroy();
await product.stop();
await orthanc?.stop();

const rows = Object.entries(values).map(([measure, { rival, product: ours }]) => {
  const [a, b] = [percentile(rival, 0.5), percentile(ours, 0.5)];
  const cost = (side) => figure(percentile(costs[measure][side], 0.5));
  return {
    measure, unit: UNITS[measure], ...(orthanc && { rival: figure(a) }), product: figure(b), ...(orthanc && { ratio: figure(b / a), limit: LIMITS[measure] }),
    ...(orthanc && { 'rival, CPU ms': cost('rival') }), 'product, CPU ms': cost('product'),
  };
});
const peakMb = Math.round(sides.at(-1).peakBytes / 1e6);
rows.push({ measure: 'memory, peak', unit: 'MB', ...(orthanc && { rival: Math.round(sides[0].peakBytes / 1e6) }), product: peakMb, ...(orthanc && { limit: LIMIT_MB }) });
report(SQLITE ? 'dicomweb-sqlite' : 'dicomweb', rows, peakMb < LIMIT_MB && rows.every(({ ratio, limit }) => ratio === undefined || limit === null || ratio >= limit));

/** Orthanc's recipe: every client stores its own studies, series by series, alone on its connection. */
async function storeRecipe(side, perRequest, share = 1) {
  const perSeries = Math.max(1, Math.round(RECIPE.instances * share));
  const started = performance.now();
  const counts = await Promise.all(Array.from({ length: CLIENTS }, async () => {
    const body = stowBody(Math.min(perRequest, perSeries), SMALL_SIDE);
    let stored = 0;
    for (let study = 0; study < RECIPE.studies; study++) {
      const common = { study: newUid(), patientId: patientIdOf(side.patients++), accession: accessionOf(side.patients) };
      for (let series = 0; series < RECIPE.series; series++) stored += await storeSeries(side, body, { ...common, series: newUid() }, perSeries);
    }
    return stored;
  }));
  return done(sum(counts), started);
}

/** Studies of 100 CT images, their requests shared out among the clients. */
async function storeCt(side, studies = STUDIES) {
  const requests = Array.from({ length: studies }, () => {
    const [patient, study, series] = [side.patients++, newUid(), newUid()];
    side.studies.push({ uid: study, patient });
    return Array.from({ length: CT_INSTANCES / PER_REQUEST }, (_, i) => ({ first: i * PER_REQUEST, common: { study, series, patientId: patientIdOf(patient), accession: accessionOf(patient) } }));
  }).flat();
  const bodies = Array.from({ length: CLIENTS }, () => stowBody(PER_REQUEST, CT_SIDE));
  const started = performance.now();
  const counts = await Promise.all(bodies.map(async (body) => {
    let stored = 0;
    for (let next = requests.shift(); next; next = requests.shift()) stored += await storeRequest(side, body, next.common, next.first);
    return stored;
  }));
  return done(sum(counts), started);
}

async function storeSeries(side, body, common, count) {
  let stored = 0;
  while (stored < count) stored += await storeRequest(side, body, common, stored);
  return stored;
}

async function storeRequest(side, { body, count, contentType, fill }, common, first) {
  for (let i = 0; i < count; i++) fill(i, { ...common, instance: newUid(), number: String(first + i + 1).padStart(6, '0') });
  const { status, text } = await send(side, { method: 'POST', path: '/dicom-web/studies', headers: { 'content-type': contentType, 'content-length': String(body.length), accept: JSON_TYPE }, body, keep: true });
  if (status !== 200) throw new Error(`${side.name} answered ${String(status)} to an upload: ${text.slice(0, 300)}`);
  return count;
}

/** Questions by as many clients at once, for about as long as was asked for; a first answer is looked at, so that fast nonsense does not count. */
async function ask(side, pathOf, holds) {
  const first = await send(side, { path: pathOf(0), headers: { accept: JSON_TYPE }, keep: true });
  if (first.status !== 200 || !holds(JSON.parse(first.text))) throw new Error(`${side.name} answered ${String(first.status)} to ${pathOf(0)}: ${first.text.slice(0, 300)}`);
  // To know how many there are in so many seconds, and until code that runs often is compiled.
  let { rate, operations } = await askMany(side, pathOf, 20 * CLIENTS);
  const warm = await askMany(side, pathOf, Math.ceil(rate));
  operations += warm.operations;
  const measured = await askMany(side, pathOf, Math.max(20 * CLIENTS, Math.round(warm.rate * SECONDS)));
  return { rate: measured.rate, operations: operations + measured.operations };
}

async function askMany(side, pathOf, count) {
  const started = performance.now();
  const answers = await curl(side, Array.from({ length: count }, (_, i) => pathOf(i)), JSON_TYPE, ['parallel', `parallel-max = ${String(CLIENTS)}`]);
  const wrong = answers.find(({ status }) => status !== 200);
  if (wrong) throw new Error(`${side.name} answered ${String(wrong.status)}`);
  return done(count, started);
}

/** The studies of this round, one after the other on one connection. */
async function retrieveEach(side, pathOf, accept, leastBytes) {
  const studies = side.studies.slice(-STUDIES);
  const answers = await curl(side, studies.map(({ uid }) => pathOf(uid)), accept);
  for (const [i, { status, bytes }] of answers.entries()) {
    if (status !== 200 || bytes < leastBytes) throw new Error(`${side.name} answered ${String(status)} with ${String(bytes)} bytes to ${pathOf(studies[i].uid)}`);
  }
  return { rate: 1 / percentile(answers.map(({ time }) => time), 0.5), operations: answers.length };
}

/**
 * What is read is read by curl: a client that is slower than the server measures itself.
 *
 * @param options  more of its options, as its manual has them
 * @returns status, bytes and seconds of each answer
 */
async function curl(side, paths, accept, options = []) {
  const headers = Object.entries({ ...(await side.headers()), accept });
  const config = [
    'silent', 'show-error', ...options, 'write-out = "%{http_code} %{size_download} %{time_total}\\n"',
    ...headers.map(([name, value]) => `header = "${name}: ${value.replaceAll('"', '\\"')}"`),
    ...paths.flatMap((path) => [`url = "${side.url}${path}"`, 'output = "/dev/null"']),
  ].join('\n');
  const output = await new Promise((resolve, reject) => {
    const child = execFile('curl', ['--config', '-'], { maxBuffer: 64 << 20 }, (error, stdout) => { if (error) reject(error); else resolve(stdout); });
    child.stdin.end(config);
  });
  return output.trim().split('\n').map((line) => {
    const [status, bytes, time] = line.split(' ').map(Number);
    return { status, bytes, time };
  });
}

/** One request on a kept connection; the answer is counted, and kept only when it is wanted. */
async function send(side, { method = 'GET', path, headers, body, keep = false }) {
  const own = await side.headers();
  return new Promise((resolve, reject) => {
    const call = request(`${side.url}${path}`, { method, agent: side.agent, headers: { ...headers, ...own } }, (response) => {
      const chunks = [];
      let bytes = 0;
      response.on('data', (chunk) => {
        bytes += chunk.length;
        if (keep) chunks.push(chunk);
      });
      response.on('end', () => { resolve({ status: response.statusCode, bytes, text: Buffer.concat(chunks).toString() }); });
      response.on('error', reject);
    });
    call.on('error', reject);
    call.end(body);
  });
}

function done(operations, started) {
  return { rate: operations / seconds(started), operations };
}

/** Of processes and those that they started. @see proc(5) */
function processorSeconds(pids) {
  let ticks = 0;
  for (const pid of pids.filter((one) => one !== undefined)) {
    const children = readFileSync(`/proc/${String(pid)}/task/${String(pid)}/children`, 'utf8').split(' ').filter((one) => one !== '');
    for (const [i, one] of [String(pid), ...children].entries()) {
      try {
        // Behind the name in brackets: utime, stime and those of children that ended.
        const fields = readFileSync(`/proc/${one}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ').map(Number);
        ticks += fields[11] + fields[12] + fields[13] + fields[14];
      } catch (error) {
        // A child that ended meanwhile counts with its parent from now on.
        if (i === 0) throw error;
      }
    }
  }
  return ticks / 100;
}

function postmasterOf(dataDir) {
  const { location } = JSON.parse(readFileSync(join(dataDir, 'postgres.json'), 'utf8'));
  return Number(readFileSync(join(location, 'postmaster.pid'), 'utf8').split('\n')[0]);
}

function residentBytes(pid) {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${String(pid)}/status`, 'utf8'))?.[1] ?? 0) * 1024;
}

function accessionOf(number) {
  return `ACC${String(number).padStart(11, '0')}`;
}

function seconds(since) {
  return (performance.now() - since) / 1000;
}

function sum(numbers) {
  return numbers.reduce((total, number) => total + number, 0);
}

/** Three significant digits. */
function figure(value) {
  return Number(value.toPrecision(3));
}

function text(name) {
  const index = process.argv.indexOf(name);
  return index > 0 ? process.argv[index + 1] : undefined;
}

function option(name, otherwise) {
  const value = Number(text(name) ?? otherwise);
  if (!(value > 0)) throw new Error(`${name} takes a number`);
  return value;
}
