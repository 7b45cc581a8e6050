#!/usr/bin/env node
// What do authentication, authorisation and the audit trail cost a small request? Limits: 5 ms at the 99th percentile, and 500 requests a second sustained.
// The same load runs against /health, which none of them guards, in turn with a small GET: who calls is checked, the call is put on record and is durable before
// its answer leaves. The difference is an upper bound, because that GET reads a row, too. The load generator shares the machine with product and database.
import { Pool } from 'undici';
import { percentile, report, startProduct } from './measure.mjs';

if (process.argv.includes('--help')) {
  console.log('usage: npm run bench:access -- [--seconds N] [--rate N]   (default 40 s for each path, 500 requests a second)');
  process.exit(0);
}
const option = (name, fallback) => { const index = process.argv.indexOf(name); return index > 0 ? Number(process.argv[index + 1]) : fallback; };
const SECONDS = option('--seconds', 40);
const RATE = option('--rate', 500);
const ROUNDS = 8;
const LIMIT_MS = 5;
const CONNECTIONS = 20;
const WARM_UP_SECONDS = 12;

// Limits of requests are another matter.
const product = await startProduct({ SETTLE_SECONDS: '3600', RATE_LIMIT_PRINCIPAL: '0', RATE_LIMIT_ADDRESS: '0', RATE_LIMIT_ANONYMOUS: '0' });
const authorization = await product.authorization();
const PATHS = [['baseline', '/health', {}], ['guarded and recorded', '/api/v1/users/me', { authorization }]];
// What lasts is measured: the compilers of Node.js take some thousand requests.
for (const [, path, headers] of PATHS) await load(path, headers, WARM_UP_SECONDS);

const measured = new Map(PATHS.map(([name]) => [name, { values: [], seconds: 0 }]));
for (let round = 0; round < ROUNDS; round++) {
  for (const [name, path, headers] of PATHS) {
    const { values, seconds } = await load(path, headers, SECONDS / ROUNDS);
    const sum = measured.get(name);
    sum.values.push(...values);
    sum.seconds += seconds;
  }
}
const verification = await (await product.fetch('/api/v1/audit-events/verification')).json();
await product.stop();

const rows = PATHS.map(([name, path]) => {
  const { values, seconds } = measured.get(name);
  return { what: name, path, perSecond: Math.round(values.length / seconds), p50ms: round(percentile(values, 0.5)), p99ms: round(percentile(values, 0.99)), maxMs: round(Math.max(...values)) };
});
const [baseline, guarded] = rows;
rows.push({ what: 'overhead', path: '', perSecond: '', p50ms: round(guarded.p50ms - baseline.p50ms), p99ms: round(guarded.p99ms - baseline.p99ms), maxMs: '' });
const asked = measured.get('guarded and recorded').values.length;
console.log(`${String(verification.events)} events on record for ${String(asked)} requests and their warm-up; chain ${verification.intact ? 'intact' : 'BROKEN'}`);
report('access', rows, rows[2].p99ms < LIMIT_MS && guarded.perSecond >= RATE * 0.98 && verification.intact && verification.events >= asked);

/** Requests at an even pace, whether answers come or not; times in milliseconds from when each was due, so that a product that falls behind cannot hide it. */
async function load(path, headers, seconds) {
  const pool = new Pool(product.url, { connections: CONNECTIONS });
  const values = [];
  const running = new Set();
  const ask = async (due) => {
    const { statusCode, body } = await pool.request({ path, method: 'GET', headers });
    await body.dump();
    if (statusCode !== 200) throw new Error(`${path}: ${String(statusCode)}`);
    values.push(performance.now() - due);
  };
  const started = performance.now();
  for (let sent = 0; sent < seconds * RATE;) {
    const due = started + (sent / RATE) * 1000;
    const early = due - performance.now();
    if (early > 0) {
      await new Promise((resolve) => setTimeout(resolve, early));
      continue;
    }
    const one = ask(due).finally(() => running.delete(one));
    running.add(one);
    sent++;
  }
  await Promise.all(running);
  const took = (performance.now() - started) / 1000;
  await pool.close();
  return { values, seconds: took };
}

function round(value) {
  return Math.round(value * 100) / 100;
}
