#!/usr/bin/env node
// Backup, incremental backup, verification and restore of an installation with so many CT instances, by the commands that an operator runs; the restore ends when the
// product, started on what was restored, answers. Everything on one machine and one disk.
import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { newUid, patientIdOf, stowBody } from './ct-instances.mjs';
import { report, ROOT, startProduct, temporaryDirectory } from './measure.mjs';

const HELP = `usage: npm run bench:backup -- [options]
  --instances N   how many are stored (default 10000)
  --side N        rows and columns of each (default 128: 36 KB)
  --new N         how many come between the first backup and the second (default 100)`;
if (process.argv.includes('--help')) {
  console.log(HELP);
  process.exit(0);
}
const [INSTANCES, SIDE, NEW] = [option('--instances', 10_000), option('--side', 128), option('--new', 100)];
const PER_STUDY = 100;
/** Seconds that each may take on two cores: the increment has to fit into an hour many times over, the restore into a coffee break. */
const LIMITS = { 'first backup': 600, increment: 60, verify: 600, restore: 600, 'start on what was restored': 60 };

const masterKey = randomBytes(32).toString('base64');
const backups = temporaryDirectory();
let product = await startProduct({ MASTER_KEY: masterKey, SETTLE_SECONDS: '3600' });
let isRunning = true;
const seconds = {};
const bytes = {};
try {
  const { body, contentType, fill } = stowBody(PER_STUDY, SIDE);
  await store(INSTANCES);
  const source = { DATA_DIR: product.dataDir, MASTER_KEY: masterKey };
  const first = await run('first backup', source, 'backup', '--to', backups);
  bytes['first backup'] = first.blobs.copiedBytes + first.database.sizeBytes;
  await store(NEW);
  const second = await run('increment', source, 'backup', '--to', backups);
  bytes.increment = second.blobs.copiedBytes + second.database.sizeBytes;
  await product.stop();
  isRunning = false;
  const verified = await run('verify', { DATA_DIR: join(backups, 'none'), MASTER_KEY: masterKey }, 'backup', 'verify', '--from', backups);
  if (!verified.intact) throw new Error(`not intact: ${verified.faults.join(' ')}`);
  rmSync(product.dataDir, { recursive: true, force: true });

  const dataDir = temporaryDirectory();
  const restored = await run('restore', { DATA_DIR: dataDir, MASTER_KEY: masterKey }, 'restore', '--from', backups);
  if (restored.audit.broken > 0 || restored.blobs !== second.blobs.count) throw new Error('not everything was restored');
  bytes.verify = bytes.restore = second.blobs.totalBytes + second.database.sizeBytes;
  const started = performance.now();
  product = await startProduct({ MASTER_KEY: masterKey, APP_ROLE: 'api' }, dataDir);
  isRunning = true;
  const answer = await product.fetch('/dicom-web/studies?limit=1', { headers: { accept: 'application/dicom+json' } });
  if (answer.status !== 200) throw new Error(`the restored product answers ${String(answer.status)}`);
  seconds['start on what was restored'] = (performance.now() - started) / 1000;

  /** Stores instances as a modality would, a study at a time. */
  async function store(count) {
    for (let at = 0; at < count; at += PER_STUDY) {
      const study = { study: newUid(), series: newUid(), patientId: patientIdOf(at), number: '000001' };
      for (let i = 0; i < PER_STUDY; i++) fill(i, { ...study, instance: newUid() });
      const response = await product.fetch('/dicom-web/studies', { method: 'POST', headers: { 'content-type': contentType }, body });
      if (response.status !== 200) throw new Error(`not stored: ${String(response.status)} ${await response.text()}`);
      await response.arrayBuffer();
    }
  }
} finally {
  if (isRunning) await product.stop();
}
const rows = Object.entries(LIMITS).map(([step, limit]) => ({
  step, seconds: Number(seconds[step].toFixed(1)), ...(bytes[step] !== undefined && { MB: Number((bytes[step] / 1e6).toFixed(1)), 'MB/s': Number((bytes[step] / 1e6 / seconds[step]).toFixed(1)) }), limit,
}));
const rto = seconds.restore + seconds['start on what was restored'];
rows.push({ step: `RTO, ${String(INSTANCES + NEW)} instances`, seconds: Number(rto.toFixed(1)), limit: 660 });
report('backup', rows, rows.every((row) => row.seconds <= row.limit));

/** A command with --json. @returns what it answers */
async function run(step, env, ...args) {
  const started = performance.now();
  const child = spawn(process.execPath, [join(ROOT, 'dist', 'src', 'cli', 'healthvision.js'), ...args, '--json'], { env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env }, stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (chunk) => { text += chunk; });
  const code = await new Promise((resolve) => { child.once('close', resolve); });
  if (code !== 0) throw new Error(`${step} ended with ${String(code)}`);
  seconds[step] = (performance.now() - started) / 1000;
  console.error(`${step}: ${seconds[step].toFixed(1)} s`);
  return JSON.parse(text);
}

function option(name, otherwise) {
  const at = process.argv.indexOf(name);
  const value = at > 0 ? Number(process.argv[at + 1]) : otherwise;
  if (!(value > 0)) throw new Error(`${name} takes a number`);
  return value;
}
