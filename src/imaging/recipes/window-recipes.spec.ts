import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { AppError } from '../../kernel/errors.js';
import { parseManifest } from '../model/manifest.js';
import type { Retinanet3dManifest } from '../model/manifests/retinanet-3d.js';
import type { SlidingWindowSegmentationManifest } from '../model/manifests/sliding-window-segmentation.js';
import type { Session, Tensor } from '../model/session.js';
import type { Affine, Vector3, Volume } from '../volume/volume.js';
import type { RecipeTools } from './recipe.js';
import { check as checkDetector, detect } from './retinanet-3d.js';
import { check as checkSegmentation, segment } from './sliding-window-segmentation.js';

const pack = (name: string): Record<string, unknown> => JSON.parse(readFileSync(`test/model-packs/${name}/manifest.json`, 'utf8')) as Record<string, unknown>;
const detector = parseManifest(pack('retinanet-3d-tiny')) as Retinanet3dManifest;
const segmentation = parseManifest(pack('segresnet-tiny')) as SlidingWindowSegmentationManifest;
const tools: RecipeTools = { progress: () => undefined, random: () => 0, reduced: false };

function volume(size: Vector3, spacing: Vector3, value: (i: number, j: number, k: number) => number): Volume<Int16Array> {
  const affine: Affine = [[spacing[0], 0, 0, 0], [0, spacing[1], 0, 0], [0, 0, spacing[2], 0]];
  const voxels = new Int16Array(size[0] * size[1] * size[2]);
  for (let at = 0; at < voxels.length; at++) voxels[at] = value(at % size[0], Math.floor(at / size[0]) % size[1], Math.floor(at / (size[0] * size[1])));
  return { size, affine, voxels };
}

/** A network that gives what a function makes of its input. */
function session(inputs: string[], outputs: Record<string, (input: Tensor) => Tensor>, shape: (number | string)[] = ['n', 'c', 'x', 'y', 'z']): () => Promise<Session> {
  return () => Promise.resolve({
    inputNames: inputs, outputNames: Object.keys(outputs), provider: 'cpu', inputShapes: Object.fromEntries(inputs.map((name) => [name, shape])),
    run: (feeds) => Promise.resolve(Object.fromEntries(Object.entries(outputs).map(([name, make]) => [name, make(feeds[inputs[0] ?? ''] ?? { data: new Float32Array(), dims: [] })]))),
  });
}

const filled = (dims: number[], value: number): Tensor => ({ data: new Float32Array(dims.reduce((a, b) => a * b, 1)).fill(value), dims });
const strides = [[4, 4, 2], [8, 8, 4], [16, 16, 8]];
/** Heads of the tiny detector: no logits but one, which points at a place of the finest level. */
function heads(change: Partial<Record<string, (input: Tensor) => Tensor>> = {}): Record<string, (input: Tensor) => Tensor> {
  const grid = ({ dims: [n = 0, , x = 0, y = 0, z = 0] }: Tensor, level: number, channels: number): number[] => [n, channels, x / (strides[level]?.[0] ?? 1), y / (strides[level]?.[1] ?? 1), z / (strides[level]?.[2] ?? 1)];
  const heads: Record<string, (input: Tensor) => Tensor> = {};
  for (const level of [0, 1, 2]) heads[`classification_${level}`] = (input) => filled(grid(input, level, 3), -9);
  for (const level of [0, 1, 2]) heads[`box_regression_${level}`] = (input) => filled(grid(input, level, 18), 0);
  // No undefined: every change is given.
  return { ...heads, ...change } as typeof heads;
}

const codeOf = (work: Promise<unknown>): Promise<string> => work.then(() => 'fine', (error: unknown) => (error instanceof AppError ? error.code : String(error)));

describe('retinanet-3d', () => {
  const ct = volume([40, 40, 20], [0.703125, 0.703125, 1.25], () => -900);

  it('says in index coordinates of the CT where an anchor that fires lies, whatever way the axes run', async () => {
    const fires = heads({
      classification_0: (input) => {
        const tensor = filled([input.dims[0] ?? 0, 3, (input.dims[2] ?? 0) / 4, (input.dims[3] ?? 0) / 4, (input.dims[4] ?? 0) / 2], -9);
        // Place (2, 3, 4) of a grid 12 × 12 × 12, third anchor: 10 × 10 × 6 round (10, 14, 9) of the image.
        tensor.data[(2 * 12 + 2) * 144 + 3 * 12 + 4] = 4;
        return tensor;
      },
    });
    const { detections, details } = await detect(ct, detector, session(['image'], fires), tools);
    expect(detections).toHaveLength(1);
    expect(detections[0]?.score).toBeCloseTo(1 / (1 + Math.exp(-4)), 6);
    // RAS: 39 − 10 and 39 − 14 in a volume that runs LPS.
    expect(detections[0]?.centre.map((value) => Math.round(value * 1e6) / 1e6)).toEqual([29, 25, 9]);
    expect(detections[0]?.box?.flat().map((value) => Math.round(value * 1e6) / 1e6)).toEqual([24, 20, 6, 34, 30, 12]);
    expect(details).toMatchObject({ windows: 1, candidates: 1, positive: 1, window: [48, 48, 24] });
  });

  it('takes the outputs in their order where the manifest gives no names', async () => {
    const nameless = parseManifest({ ...pack('retinanet-3d-tiny'), network: { path: 'model.onnx', input: { shape: ['batch', 1, 'x', 'y', 'z'], type: 'float32' }, classes: 1, levels: [1, 2, 4].map((anchorScale) => ({ anchorScale })) } }) as Retinanet3dManifest;
    expect(await codeOf(checkDetector(nameless, session(['input.1'], heads())))).toBe('fine');
    expect((await detect(ct, nameless, session(['input.1'], heads()), tools)).detections).toEqual([]);
  });

  it('refuses numbers that are not finite, other channels and other grids, before and in use', async () => {
    for (const [value, where] of [[NaN, 'classification_0'], [Infinity, 'box_regression_2']] as const) {
      const broken = session(['image'], heads({ [where]: (input) => filled((heads()[where]?.(input).dims ?? []) as number[], value) }));
      expect(await codeOf(checkDetector(detector, broken))).toBe('model-output-invalid');
      expect(await codeOf(detect(ct, detector, broken, tools))).toBe('model-output-invalid');
    }
    const channels = session(['image'], heads({ classification_1: (input) => filled([input.dims[0] ?? 0, 6, 1, 1, 1], 0) }));
    expect(await codeOf(checkDetector(detector, channels))).toBe('model-output-invalid');
    const grids = session(['image'], heads({ box_regression_1: (input) => filled([input.dims[0] ?? 0, 18, 1, 1, 1], 0) }));
    expect(await codeOf(checkDetector(detector, grids))).toBe('model-output-invalid');
    expect(await codeOf(detect(ct, detector, grids, tools))).toBe('model-output-invalid');
  });

  it('says how strange the windows are, and refuses a network that does not', async () => {
    const asking = { ...detector, outOfDistribution: { output: 'strangeness', threshold: 2, falseAlarmRate: 0.05, n: 100 } };
    const saying = session(['image'], { ...heads(), strangeness: ({ dims: [n = 0] }) => filled([n, 1], 2.5) });
    expect((await detect(ct, asking, saying, tools)).outOfDistribution).toEqual({ score: 2.5, threshold: 2, strange: true });
    expect((await detect(ct, detector, saying, tools)).outOfDistribution).toBeUndefined();
    expect(await codeOf(checkDetector(asking, saying))).toBe('fine');
    expect(await codeOf(checkDetector(asking, session(['image'], heads())))).toBe('model-load-failed');
    expect(await codeOf(checkDetector(asking, session(['image'], { ...heads(), strangeness: ({ dims: [n = 0] }) => filled([n, 1], NaN) })))).toBe('model-output-invalid');
  });

  it('refuses a network without the names or with another input', async () => {
    const { box_regression_2: dropped, ...fewer } = heads();
    expect(dropped).toBeDefined();
    expect(await codeOf(checkDetector(detector, session(['image'], fewer)))).toBe('model-load-failed');
    expect(await codeOf(checkDetector(detector, session(['picture'], heads())))).toBe('model-load-failed');
    expect(await codeOf(checkDetector(detector, session(['image', 'prompt'], heads())))).toBe('model-load-failed');
    expect(await codeOf(checkDetector(detector, session(['image'], heads(), ['n', 4, 'x', 'y', 'z'])))).toBe('model-load-failed');
  });

  it('sizes the first window by the network where that is fixed', async () => {
    let seen: readonly number[] = [];
    const fixed = session(['image'], heads({ classification_0: (input) => { seen = input.dims; return heads().classification_0?.(input) ?? input; } }), [1, 1, 96, 64, 32]);
    expect(await codeOf(checkDetector(detector, fixed))).toBe('fine');
    expect(seen).toEqual([1, 1, 96, 64, 32]);
  });
});

describe('sliding-window-segmentation', () => {
  const size: Vector3 = [20, 18, 10];
  const channels = Object.fromEntries(segmentation.channels.map((name, c) => [name, volume(size, [1, 1, 1], (i, j, k) => (i < 4 ? 0 : 100 * (c + 1) + 10 * ((i + j + k) % 2)))]));
  /** Three channels of logits from the first channel of the input. */
  const network = (logits: (value: number) => number[]): (() => Promise<Session>) => session(['image'], {
    pred: ({ data, dims: [n = 0, c = 0, ...window] }) => {
      const count = window.reduce((a, b) => a * b, 1);
      const out = new Float32Array(n * 3 * count);
      for (let w = 0; w < n; w++) for (let i = 0; i < count; i++) for (const [k, logit] of logits(Number(data[w * c * count + i])).entries()) out[(w * 3 + k) * count + i] = logit;
      return { data: out, dims: [n, 3, ...window] };
    },
  });

  it('gives the network z-scores over what is not zero, in the order of the manifest', async () => {
    const seen: number[] = [];
    const { labels } = await segment(channels, segmentation, network((value) => { seen.push(value); return [value === 0 ? -1 : 1, -1, -1]; }), tools);
    expect(Math.max(...seen)).toBeLessThan(5);
    // Zero stays zero: where i < 4 there is background, everywhere else the core's value.
    expect([...labels].every((label, at) => label === (at % 20 < 4 ? 0 : 1))).toBe(true);
  });

  it('lets the first value that holds win', async () => {
    const all = await segment(channels, segmentation, network(() => [1, 1, 1]), tools);
    expect(new Set(all.labels)).toEqual(new Set([4]));
    const whole = await segment(channels, segmentation, network(() => [-1, 0, -1]), tools);
    expect(new Set(whole.labels)).toEqual(new Set([2]));
    expect(whole.details).toMatchObject({ voxels: { 2: 3600 } });
  });

  it('takes the largest channel under softmax, unlisted ones as background', async () => {
    const softmax: SlidingWindowSegmentationManifest = { ...segmentation, postprocessing: { activation: 'softmax', values: [{ channel: 1, value: 7 }] } };
    const { labels } = await segment(channels, softmax, network((value) => (value === 0 ? [3, 1, 2] : [1, 3, 2])), tools);
    expect([...labels].every((label, at) => label === (at % 20 < 4 ? 0 : 7))).toBe(true);
  });

  it('resamples anisotropic volumes and brings the labels back', async () => {
    const coarse = Object.fromEntries(segmentation.channels.map((name) => [name, volume([20, 18, 4], [1, 1, 5], (i, j, k) => (k < 2 ? 0 : 100 + i + j))]));
    const isotropic: SlidingWindowSegmentationManifest = { ...segmentation, preprocessing: { ...segmentation.preprocessing, spacingMm: [1, 1, 1] } };
    const { labels, details } = await segment(coarse, isotropic, network((value) => [value === 0 ? -1 : 1, -1, -1]), tools);
    expect(details).toMatchObject({ size: [20, 18, 16] });
    expect(labels).toHaveLength(20 * 18 * 4);
    expect([...labels].map((label) => (label === 0 ? 0 : 1)).filter((_, at) => at % 360 === 5)).toEqual([0, 0, 1, 1]);
  });

  it('cuts away what is zero in every channel, and puts the labels back where they belong', async () => {
    const island = Object.fromEntries(segmentation.channels.map((name, c) => [name, volume([60, 50, 40], [1, 1, 1], (i, j, k) => (i >= 30 && i < 45 + c && j >= 20 && j < 32 && k >= 9 && k < 21 ? 100 + i : 0))]));
    const cropped: SlidingWindowSegmentationManifest = { ...segmentation, preprocessing: { ...segmentation.preprocessing, crop: 'nonzero' } };
    const inside = network((value) => [value === 0 ? -1 : 1, -1, -1]);
    const { labels, details } = await segment(island, cropped, inside, tools);
    expect(details).toMatchObject({ size: [18, 12, 12], windows: 1, crop: { start: [30, 20, 9], size: [18, 12, 12] } });
    expect(labels).toEqual((await segment(island, segmentation, inside, tools)).labels);
    const asking = { ...cropped, outOfDistribution: { output: 'strangeness', threshold: 2, falseAlarmRate: 0.05, n: 100 } };
    const saying = session(['image'], { pred: ({ dims: [n = 0, , ...window] }) => filled([n, 3, ...window], -1), strangeness: ({ dims: [n = 0] }) => filled([n, 1], 3) });
    expect((await segment(island, asking, saying, tools)).outOfDistribution?.strange).toBe(true);
    const empty = Object.fromEntries(segmentation.channels.map((name) => [name, volume(size, [1, 1, 1], () => 0)]));
    expect((await segment(empty, cropped, inside, tools)).labels).toHaveLength(3600);
  });

  it('leaves a constant and an empty channel finite', async () => {
    const flat = Object.fromEntries(segmentation.channels.map((name, c) => [name, volume(size, [1, 1, 1], () => (c === 0 ? 7 : 0))]));
    const seen = new Set<number>();
    expect(await codeOf(segment(flat, segmentation, network((value) => { seen.add(value); return [0, 0, 0]; }), tools))).toBe('fine');
    expect([...seen]).toEqual([0]);
  });

  it('refuses missing channels, other grids and numbers that are not finite', async () => {
    const { flair, ...three } = channels;
    expect(flair).toBeDefined();
    expect(await codeOf(segment(three, segmentation, network(() => [0, 0, 0]), tools))).toBe('internal');
    expect(await codeOf(segment({ ...channels, flair: volume([20, 18, 9], [1, 1, 1], () => 1) }, segmentation, network(() => [0, 0, 0]), tools))).toBe('internal');
    expect(await codeOf(segment(channels, segmentation, network(() => [0, NaN, 0]), tools))).toBe('model-output-invalid');
    expect(await codeOf(checkSegmentation(segmentation, network(() => [0, Infinity, 0])))).toBe('model-output-invalid');
  });

  it('calls a volume strange by the median of its windows', async () => {
    const asking = { ...segmentation, outOfDistribution: { output: 'strangeness', threshold: 2, falseAlarmRate: 0.05, n: 100 } };
    const windows: number[] = [];
    const saying = session(['image'], {
      pred: ({ dims: [n = 0, , ...window] }) => filled([n, 3, ...window], -1),
      // One window is like no other; the rest is ordinary.
      strangeness: ({ dims: [n = 0] }) => ({ data: Float32Array.from({ length: n }, () => { windows.push(1); return windows.length === 1 ? 1000 : 1; }), dims: [n, 1] }),
    });
    const wide = Object.fromEntries(asking.channels.map((name) => [name, volume([60, 18, 10], [1, 1, 1], () => 1)]));
    expect((await segment(wide, asking, saying, tools)).outOfDistribution).toEqual({ score: 1, threshold: 2, strange: false });
    expect(windows.length).toBeGreaterThan(2);
    expect(await codeOf(checkSegmentation(asking, saying))).toBe('fine');
    expect(await codeOf(checkSegmentation(asking, network(() => [0, 0, 0])))).toBe('model-load-failed');
  });

  it('refuses an output of another size', async () => {
    const half = session(['image'], { pred: ({ dims: [n = 0] }) => filled([n, 3, 4, 4, 4], 0) });
    expect(await codeOf(checkSegmentation(segmentation, half))).toBe('model-output-invalid');
    expect(await codeOf(segment(channels, segmentation, half, tools))).toBe('model-output-invalid');
  });
});
