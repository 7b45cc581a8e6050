#!/usr/bin/env node
/**
 * The product's own steps for the Python scripts, from `dist` (npm run build).
 *
 *   node product.mjs strip FOLDER            brain of volumes.t1 → mask.u8
 *   node product.mjs prepare FOLDER          registration, 1 mm grid, brain extraction → prepared/
 *   node product.mjs phantom FOLDER SEED     the product's phantom, prepared → prepared/, with its truth as whole.u8, core.u8, enhancing.u8
 *   node product.mjs segment FOLDER PACK [WEIGHTS]   a pack's recipe on volumes of one grid, without parts under the report's least → labels.u8
 *
 * FOLDER holds case.json, {"volumes": {"t1": {"file", "size": [columns, rows, slices], "affine": 3 × 4 to LPS mm}, …}}, and the files,
 * little-endian float32 [z, y, x]. What is written has the same form.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const dist = new URL('../../../dist/src/', import.meta.url);
const load = (path) => import(new URL(path, dist));
const [command, folder, pack, weights] = process.argv.slice(2);
if (command === undefined || folder === undefined) throw new Error('usage: product.mjs strip|prepare|phantom|segment FOLDER [PACK [WEIGHTS]]');

const described = command === 'phantom' ? {} : JSON.parse(readFileSync(join(folder, 'case.json'), 'utf8')).volumes;
const volumes = Object.fromEntries(Object.entries(described).map(([role, { file, size, affine }]) => {
  const bytes = readFileSync(join(folder, file));
  return [role, { size, affine, voxels: new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength)) }];
}));
const stage = (_name, work) => work();
const progress = () => undefined;

if (command === 'strip') {
  const { extractBrain } = await load('imaging/volume/brain-extraction.js');
  const { mask, volumeMl } = extractBrain({ t1: volumes.t1 }, { fraction: 0.6 });
  writeFileSync(join(folder, 'mask.u8'), mask);
  console.log(JSON.stringify({ volumeMl }));
} else if (command === 'prepare' || command === 'phantom') {
  const { prepareMr } = await load('imaging/analyses/brain-tumour/preprocess.js');
  const { mrPreparationSchema } = await load('imaging/model/manifests/mr-preparation.js');
  const { uniformStream } = await load('imaging/phantom/random.js');
  if (command === 'phantom') {
    const { brainMr } = await load('imaging/phantom/brain-mr.js');
    const roles = ['t1', 't1c', 't2', 'flair'];
    for (const [n, { volume: { size, spacing: [dx, dy, dz], voxels } }] of brainMr(Number(pack)).entries()) {
      const origin = [dx, dy, dz].map((mm, axis) => (-(size[axis] - 1) / 2) * mm);
      volumes[roles[n]] = { size, affine: [[dx, 0, 0, origin[0]], [0, dy, 0, origin[1]], [0, 0, dz, origin[2]]], voxels };
    }
  }
  const prepared = await prepareMr(volumes, mrPreparationSchema.parse({}), { stage, progress, random: uniformStream(1) });
  if (prepared.kind !== 'prepared') throw new Error(JSON.stringify(prepared));
  const out = join(folder, 'prepared');
  mkdirSync(out, { recursive: true });
  const written = {};
  for (const [role, { size, affine, voxels }] of Object.entries(prepared.channels)) {
    writeFileSync(join(out, `${role}.f32`), Float32Array.from(voxels));
    written[role] = { file: `${role}.f32`, size, affine };
  }
  if (command === 'phantom') {
    const { isInTumour } = await load('imaging/phantom/brain-mr.js');
    const { size: [columns, rows, slices], affine } = prepared.channels.t1;
    for (const [name, region] of Object.entries({ whole: 'whole-tumour', core: 'tumour-core', enhancing: 'enhancing-tumour' })) {
      const truth = new Uint8Array(columns * rows * slices);
      let offset = 0;
      for (let k = 0; k < slices; k++) for (let j = 0; j < rows; j++) for (let i = 0; i < columns; i++) {
        const [x, y, z] = affine.map(([di, dj, dk, start]) => di * i + dj * j + dk * k + start);
        truth[offset++] = isInTumour(region, x, y, z) ? 1 : 0;
      }
      writeFileSync(join(out, `${name}.u8`), truth);
    }
  }
  writeFileSync(join(out, 'case.json'), JSON.stringify({ volumes: written, notes: prepared.notes }, null, 1));
  console.log(prepared.notes.join('\n'));
} else if (command === 'segment') {
  const { parseManifest } = await load('imaging/model/manifest.js');
  const { openOnnxSession } = await load('platform/compute/onnx-session.js');
  const { uniformStream } = await load('imaging/phantom/random.js');
  const { withoutSmallParts } = await load('imaging/analyses/brain-tumour/measure.js');
  const manifest = parseManifest(JSON.parse(readFileSync(join(pack, 'manifest.json'), 'utf8')));
  const { segment } = await load(`imaging/recipes/${manifest.recipe}.js`);
  const sessions = new Map();
  const networks = (path) => {
    if (!sessions.has(path)) sessions.set(path, openOnnxSession(join(weights ?? pack, path), { providers: ['cpu'], strict: true, gpu: {}, intraOpThreads: 2 }));
    return sessions.get(path);
  };
  await networks(manifest.files[0].path);
  const began = performance.now();
  const { labels, details } = await segment(volumes, manifest, networks, { progress, random: uniformStream(1), reduced: false });
  const seconds = (performance.now() - began) / 1000;
  const [grid] = Object.values(volumes);
  writeFileSync(join(folder, 'labels.u8'), withoutSmallParts(labels, grid, manifest.report).labels);
  console.log(JSON.stringify({ seconds, peakMb: Math.round(process.resourceUsage().maxRSS / 1024), details }));
} else throw new Error(`What is ${command}?`);
