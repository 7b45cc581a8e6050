#!/usr/bin/env node
// How long does the Segmentation of a large mask take to write and to check? 512 × 512 × 300 voxels, one thread, warm. Limit: a second from mask to bytes
// for one segment in a third of every slice; the others are for comparison.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { buildIfStale } from '../src/cli/build.mjs';
import { percentile, report, ROOT } from './measure.mjs';

if (process.argv.includes('--help')) {
  console.log('usage: node bench/seg.mjs [--rounds N]   (default 7)');
  process.exit(0);
}
const option = (name, fallback) => { const index = process.argv.indexOf(name); return index > 0 ? Number(process.argv[index + 1]) : fallback; };
const ROUNDS = option('--rounds', 7);
const LIMIT_MS = 1000;
const [COLUMNS, ROWS, SLICES] = [512, 512, 300];

buildIfStale();
const compiled = (file) => import(new URL(`../dist/${file}`, import.meta.url).href);
// What the tests make a source with, compiled beside the product.
const swc = spawnSync(process.execPath, [join(ROOT, 'node_modules', '@swc', 'cli', 'bin', 'swc.js'), 'test/support/seg-source.ts', 'test/support/dicom-volumes.ts', '--out-dir', 'dist', '--config-file', '.swcrc', '--quiet'], { cwd: ROOT, encoding: 'utf8' });
if (swc.status !== 0) throw new Error(swc.stderr);
const { segSource } = await compiled('test/support/seg-source.js');
const { writeSeg } = await compiled('src/imaging/report/seg.js');
const { checkSeg } = await compiled('src/imaging/report/seg-check.js');

const small = segSource({ size: [16, 16, SLICES], label: () => 0, members: [], withFindings: false });
// The headers of the source are those of the large images.
const instances = small.instances.map((instance) => ({ ...instance, attributes: { ...instance.attributes, '00280010': { vr: 'US', Value: [ROWS] }, '00280011': { vr: 'US', Value: [COLUMNS] } } }));
const third = (i, j) => i > 100 && i < 400 && j > 100 && j < 400;
const CASES = [
  ['one segment, a third of every slice, ragged', (i, j, k) => (third(i, j) && (i * j * k) % 7 !== 0 ? 1 : 0), [[1]], LIMIT_MS],
  ['one nodule', (i, j, k) => (Math.hypot(i - 200, j - 300, k - 100) < 12 ? 1 : 0), [[1]], LIMIT_MS],
  ['three that overlap, everywhere', (i, j, k) => 1 + ((i >> 5) + (j >> 5) + k) % 3, [[1, 2, 3], [1, 2], [3]], undefined],
];
const rows = CASES.map(([what, label, values, limit]) => {
  const labels = new Uint8Array(COLUMNS * ROWS * SLICES);
  const counts = [0, 0, 0, 0];
  for (let k = 0, at = 0; k < SLICES; k++) for (let j = 0; j < ROWS; j++) for (let i = 0; i < COLUMNS; i++, at++) counts[labels[at] = label(i, j, k)]++;
  const grid = { ...small.segmentation.grid, size: [COLUMNS, ROWS, SLICES] };
  const [[a], [, b], [, , c]] = grid.affine;
  const source = {
    ...small, instances, segmentation: { ...small.segmentation, grid, labels, members: values.map((list, index) => ({ segment: index + 1, values: list })) },
    segments: values.map((list, index) => ({ number: index + 1, name: `Nodule ${index + 1}`, volumeMl: Number((list.reduce((sum, value) => sum + counts[value], 0) * Math.abs(a * b * c) / 1000).toFixed(3)) })),
  };
  const [write, check, processor] = [[], [], []];
  let bytes;
  for (let round = 0; round <= ROUNDS; round++) {
    const started = performance.now();
    const before = process.cpuUsage();
    ({ bytes } = writeSeg(source));
    const written = performance.now();
    const { user, system } = process.cpuUsage(before);
    const faults = checkSeg(bytes, source);
    if (faults.length > 0) throw new Error(faults[0].detail);
    // The first one compiles.
    if (round > 0) { write.push(written - started); check.push(performance.now() - written); processor.push((user + system) / 1000); }
  }
  return { what, megabytes: Math.round(bytes.length / 1e5) / 10, writeMs: Math.round(percentile(write, 0.5)), writeWorstMs: Math.round(Math.max(...write)), writeProcessorMs: Math.round(percentile(processor, 0.5)), checkMs: Math.round(percentile(check, 0.5)), limitMs: limit ?? '' };
});
report('seg', rows, rows.every(({ writeMs, limitMs }) => limitMs === '' || writeMs < limitMs));
