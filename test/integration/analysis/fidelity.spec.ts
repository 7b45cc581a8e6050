import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { readNpz } from '../../../src/cli/evaluation/npz.js';
import { imageClassifierSchema, type ImageClassifierManifest } from '../../../src/imaging/model/manifests/image-classifier.js';
import { classifyBatch, prepare, type ClassifierInput } from '../../../src/imaging/recipes/image-classifier.js';
import type { DisplayImage } from '../../../src/imaging/render/window.js';
import { openOnnxSession } from '../../../src/platform/compute/onnx-session.js';
import { DATA, MODELS, sharedFile } from '../../support/shared-data.js';
import { PACKS } from './model-packs.js';

interface Reference {
  nih15: { n: number; auc: Record<string, number>; aucWithoutVnni: Record<string, number>; macroAuc: number; first: { probability: Record<string, number> } };
  'pneumoniamnist-vanilla': { n: number; auc: number; accuracy: number; first: number[] };
}

/** What plain onnxruntime gives: test/model-packs/reference.py. */
const reference = JSON.parse(readFileSync(join(PACKS, 'reference.json'), 'utf8')) as Reference;

const manifestOf = (pack: string): ImageClassifierManifest => imageClassifierSchema.parse(JSON.parse(readFileSync(join(PACKS, pack, 'manifest.json'), 'utf8')));

async function predict(manifest: ImageClassifierManifest, network: string, images: AsyncIterable<DisplayImage> | Iterable<DisplayImage>): Promise<number[][]> {
  const session = await openOnnxSession(network, { providers: ['cpu'], strict: true, gpu: { deviceId: 0, cuda: {}, tensorrt: {} }, intraOpThreads: 1 });
  const probabilities: number[][] = [];
  let batch: ClassifierInput[] = [];
  const flush = async (): Promise<void> => {
    if (batch.length > 0) probabilities.push(...(await classifyBatch(batch, manifest, session)));
    batch = [];
  };
  for await (const image of images) {
    batch.push(prepare(image, manifest));
    if (batch.length === 16) await flush();
  }
  await flush();
  await session.release();
  return probabilities;
}

/** Mann-Whitney, ties count half. */
function auc(scores: readonly number[], positive: readonly boolean[]): number {
  const [yes, no] = [true, false].map((wanted) => scores.filter((_, i) => positive[i] === wanted)) as [number[], number[]];
  const wins = yes.reduce((sum, a) => sum + no.reduce((inner, b) => inner + (a > b ? 1 : a === b ? 0.5 : 0), 0), 0);
  return wins / (yes.length * no.length);
}

describe('the image classifier gives what the original pipeline gives', () => {
  const vanilla = sharedFile(MODELS, 'cxr-eval', 'pneumoniamnist_vanillacnn_128.onnx');
  const archive = sharedFile(DATA, 'cxr', 'pneumoniamnist.npz');
  const nih15 = sharedFile(MODELS, 'cxr-eval', 'nih15_mobilenetv3s_int8.onnx');
  const nih = sharedFile(DATA, 'cxr', 'nih', 'labels.csv');

  (vanilla && archive ? it : it.skip)('on the test split of PneumoniaMNIST: AUC .966', { timeout: 300_000 }, async () => {
    const arrays = await readNpz(archive ?? '', ['test_images', 'test_labels']);
    const [pixels, labels] = [arrays.get('test_images')?.data, arrays.get('test_labels')?.data];
    if (!(pixels instanceof Uint8Array) || !labels) throw new Error('unexpected archive');
    const images = Array.from({ length: labels.length }, (_, i): DisplayImage => ({ width: 28, height: 28, channels: 1, data: pixels.subarray(i * 784, (i + 1) * 784) }));
    const scores = (await predict(manifestOf('pneumoniamnist-vanilla'), vanilla ?? '', images)).map((row) => row[1] ?? NaN);
    const truth = Array.from({ length: labels.length }, (_, i) => Number(labels[i]) === 1);
    const expected = reference['pneumoniamnist-vanilla'];
    expect(scores.length).toBe(624);
    for (const [i, probability] of expected.first.entries()) expect(scores[i]).toBeCloseTo(probability, 4);
    expect(Math.abs(auc(scores, truth) - 0.966)).toBeLessThan(0.001);
    expect(auc(scores, truth)).toBeCloseTo(expected.auc, 4);
    expect(scores.filter((score, i) => score >= 0.5 === truth[i]).length / 624).toBeCloseTo(expected.accuracy, 4);
  });

  (nih15 && nih ? it : it.skip)('on 411 images of NIH ChestX-ray14, 384 to 224 pixels: every AUC to 0.001', { timeout: 300_000 }, async () => {
    const rows = readFileSync(nih ?? '', 'utf8').trim().split('\n').slice(1).map((line) => line.split(','));
    const images = async function* (): AsyncGenerator<DisplayImage> {
      for (const [name = ''] of rows) {
        const { data, info } = await sharp(join(DATA, 'cxr', 'nih', 'images', name)).toColourspace('b-w').raw().toBuffer({ resolveWithObject: true });
        if (info.channels !== 1) throw new Error(`${name} is not grey`);
        yield { width: info.width, height: info.height, channels: 1, data };
      }
    };
    const manifest = manifestOf('nih15');
    const predicted = await predict(manifest, nih15 ?? '', images());
    expect(predicted.length).toBe(reference.nih15.n);
    const found = Object.fromEntries(Object.keys(reference.nih15.auc).map((name) => {
      const index = manifest.labels.find((label) => label.name === name)?.index ?? -1;
      return [name, auc(predicted.map((row) => row[index] ?? NaN), rows.map((row) => (row[1] ?? '').split('|').includes(name)))];
    }));
    // ONNX Runtime multiplies 8-bit integers in another way where the processor has no VNNI: there the original pipeline gives other figures too.
    const differing = [reference.nih15.auc, reference.nih15.aucWithoutVnni].map((figures) => Object.entries(figures).filter(([name, expected]) => !(Math.abs((found[name] ?? NaN) - expected) <= 0.001)));
    expect(differing.some((names) => names.length === 0), JSON.stringify({ found, differing })).toBe(true);
  });
});
