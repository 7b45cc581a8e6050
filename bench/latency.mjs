#!/usr/bin/env node
// How long does a small request wait while a worker computes? Limit: 50 ms at the 99th percentile.
// Two ways to run: one process for everything, and an api beside a worker. The same requests are timed on the idle product first.
import sharp from 'sharp';
import { percentile, report, startProduct } from './measure.mjs';

if (process.argv.includes('--help')) {
  console.log('usage: npm run bench:latency -- [--seconds N]   (default 15 per phase)');
  process.exit(0);
}
const index = process.argv.indexOf('--seconds');
const SECONDS = index > 0 ? Number(process.argv[index + 1]) : 15;
const LIMIT_MS = 50;

const rows = [];
for (const roles of [['all'], ['api', 'worker']]) {
  const products = [await startProduct({ APP_ROLE: roles[0], SETTLE_SECONDS: '3600' })];
  if (roles[1]) products.push(await startProduct({ APP_ROLE: roles[1], SETTLE_SECONDS: '3600' }, products[0].dataDir));
  const [api] = products;
  const studies = await uploadStudies(api, 12 * SECONDS);
  await timeRequests(api, 3);
  const idle = await timeRequests(api, SECONDS);
  const load = keepComputing(api, studies);
  const busy = await timeRequests(api, SECONDS);
  const runs = await load.stop();
  for (const [phase, values] of [['idle', idle], ['computing', busy]]) {
    rows.push({ roles: roles.join('+'), phase, requests: values.length, p50ms: round(percentile(values, 0.5)), p99ms: round(percentile(values, 0.99)), maxMs: round(Math.max(...values)), runs: phase === 'idle' ? 0 : runs });
  }
  for (const product of products.reverse()) await product.stop();
}
report('latency', rows, rows.every(({ p99ms }) => p99ms < LIMIT_MS));

/** One client, one request after the other, 50 a second at most: what a person or a viewer feels. */
async function timeRequests(product, seconds) {
  const values = [];
  const until = Date.now() + seconds * 1000;
  while (Date.now() < until) {
    const started = performance.now();
    const response = await product.fetch('/api/v1/studies?limit=10');
    await response.arrayBuffer();
    if (response.status !== 200) throw new Error(`status ${response.status}`);
    values.push(performance.now() - started);
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, 20 - values.at(-1))));
  }
  return values;
}

/** Uploads large X-rays; computing on them is what the worker is busy with later. */
async function uploadStudies(product, count) {
  const uids = [];
  for (let seed = 0; seed < count; seed++) {
    const form = new FormData();
    for (const [name, value] of Object.entries({ patientId: `B${seed}`, patientAge: '3', modality: 'DX', bodyPart: 'CHEST', viewPosition: 'AP' })) form.append(name, value);
    form.append('files', new Blob([await picture(seed)]), `x${seed}.png`);
    const { items } = await (await product.fetch('/api/v1/images', { method: 'POST', body: form })).json();
    uids.push(items[0].studyInstanceUid);
  }
  return uids;
}

/** Asks for one run after the other, so that the worker never rests; ends early when the studies are used up. */
function keepComputing(product, studies) {
  let going = true;
  let runs = 0;
  const loop = (async () => {
    for (const studyInstanceUid of studies) {
      if (!going) break;
      let run = await (await product.fetch('/api/v1/analyses', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ analysis: 'chest-xray-classification', studyInstanceUid }) })).json();
      await (await product.fetch(`/api/v1/analyses/${run.id}/events`)).text();
      runs++;
    }
  })();
  return { stop: async () => { going = false; await loop; return runs; } };
}

async function picture(seed) {
  const side = 2048;
  const pixels = Buffer.alloc(side * side);
  for (let i = 0; i < pixels.length; i++) pixels[i] = 128 + 80 * Math.sin(i / (40 + seed)) + (i % 17);
  return sharp(pixels, { raw: { width: side, height: side, channels: 1 } }).png({ compressionLevel: 1 }).toBuffer();
}

function round(value) {
  return Math.round(value * 10) / 10;
}
