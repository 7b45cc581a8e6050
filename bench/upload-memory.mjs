#!/usr/bin/env node
// A ZIP of 2 GB through POST /api/v1/images: resident memory of the api must stay under 400 MB.
import { randomUUID } from 'node:crypto';
import { pathToFileURL } from 'node:url';
import { join } from 'node:path';
import { bigZip, BIG_ZIP_SIDE, sendZip } from '../test/support/big-zip.mjs';
import { report, ROOT, startProduct } from './measure.mjs';

if (process.argv.includes('--help')) {
  console.log('usage: npm run bench:upload -- [--instances N]   (default 270 objects of 8 MB: more than 2 GB)');
  process.exit(0);
}
const index = process.argv.indexOf('--instances');
const COUNT = index > 0 ? Number(process.argv[index + 1]) : 270;
const LIMIT_MB = 400;

const product = await startProduct({ APP_ROLE: 'api' });
const { wrapImage } = await import(pathToFileURL(join(ROOT, 'dist', 'src', 'imaging', 'dicom', 'wrap-image.js')).href);
const uid = () => `2.25.${BigInt(`0x${randomUUID().replaceAll('-', '')}`)}`;
const [studyInstanceUid, seriesInstanceUid] = [uid(), uid()];
const makeInstance = ({ pixels }) => wrapImage({ pixels, width: BIG_ZIP_SIDE, height: BIG_ZIP_SIDE, channels: 1, bits: 16 }, { patientId: 'BENCH', modality: 'CR', studyInstanceUid, seriesInstanceUid, sopInstanceUid: uid() });

const before = product.residentBytes();
let peak = before;
const sampler = setInterval(() => { peak = Math.max(peak, product.residentBytes()); }, 50);
const started = performance.now();
const response = await sendZip(product.url, await product.authorization(), bigZip(COUNT, makeInstance));
const { items } = await response.json();
const seconds = (performance.now() - started) / 1000;
clearInterval(sampler);
const stored = items.filter(({ status }) => status === 'stored').length;
const bytes = COUNT * (BIG_ZIP_SIDE ** 2) * 2;
await product.stop();
const peakMb = Math.round(peak / 1e6);
report('upload-memory', [{ status: response.status, stored, of: COUNT, gigabytes: Math.round(bytes / 1e7) / 100, seconds: Math.round(seconds), idleMb: Math.round(before / 1e6), peakMb, limitMb: LIMIT_MB }], response.status === 201 && stored === COUNT && peakMb < LIMIT_MB);
