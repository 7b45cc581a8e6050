import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { parseManifest } from '../../../src/imaging/model/manifest.js';
import type { Retinanet3dManifest } from '../../../src/imaging/model/manifests/retinanet-3d.js';
import type { SlidingWindowSegmentationManifest } from '../../../src/imaging/model/manifests/sliding-window-segmentation.js';
import type { RecipeTools } from '../../../src/imaging/recipes/recipe.js';
import { check as checkDetector, detect } from '../../../src/imaging/recipes/retinanet-3d.js';
import { blendLogits, check as checkSegmentation, segment } from '../../../src/imaging/recipes/sliding-window-segmentation.js';
import { axisView, readWindow } from '../../../src/imaging/volume/axis-view.js';
import type { Affine, Vector3, Volume } from '../../../src/imaging/volume/volume.js';
import { openOnnxSession, type OnnxSession } from '../../../src/platform/compute/onnx-session.js';
import { PACKS } from './model-packs.js';

interface Case {
  size: [number, number, number];
  spacing: [number, number, number];
}
interface DetectorCase extends Case {
  origin: [number, number, number];
  networkSize: number[];
  samples: [number, number, number, number][];
  corners: [number[], number[]][];
  scores: number[];
}
interface SegmentationCase extends Case {
  window: SlidingWindowSegmentationManifest['window'];
  counts: Record<string, number>;
  /** i, j, k, label, probability of each channel. */
  samples: [number, number, number, number, number, number, number][];
}

const golden = (name: string): unknown => JSON.parse(readFileSync(join('test', 'golden', 'monai', name), 'utf8'));
const tools = (reduced = false): RecipeTools => ({ progress: () => undefined, random: () => 0, reduced });

/** The CT of test/golden/monai/generate.py. */
function ct({ size, spacing, origin }: DetectorCase): Volume<Int16Array> {
  return volume(size, spacing, origin, (i, j, k) => {
    let hu = -850 + ((3 * i * i + 7 * j + 5 * k * k + i * j) % 61);
    for (let n = 0; n < 9; n++) {
      const r = 4 + (n % 4);
      if ((i - ((13 + 29 * n) % size[0])) ** 2 + (j - ((17 + 23 * n) % size[1])) ** 2 + 2 * (k - ((5 + 11 * n) % size[2])) ** 2 <= r * r) hu = 20 + 10 * n;
    }
    return hu;
  });
}

/** The MR of test/golden/monai/generate.py. */
function mr({ size, spacing }: Case, channel: number): Volume<Int16Array> {
  const half = size.map((n) => Math.floor(n / 2)) as [number, number, number];
  return volume(size, spacing, [0, 0, 0], (i, j, k) => {
    if (4 * (i - half[0]) ** 2 * size[1] ** 2 + 4 * (j - half[1]) ** 2 * size[0] ** 2 > (size[0] * size[1]) ** 2) return 0;
    const hot = (i - Math.floor(size[0] / 3)) ** 2 + (j - half[1]) ** 2 + 2 * (k - half[2]) ** 2 <= 64;
    return 100 + 40 * channel + ((5 * i * i + (3 + channel) * j * k + 11 * k) % 83) + (hot ? 150 - 60 * channel : 0);
  });
}

function volume(size: Vector3, spacing: Vector3, origin: Vector3, value: (i: number, j: number, k: number) => number): Volume<Int16Array> {
  const affine: Affine = [[spacing[0], 0, 0, origin[0]], [0, spacing[1], 0, origin[1]], [0, 0, spacing[2], origin[2]]];
  const voxels = new Int16Array(size[0] * size[1] * size[2]);
  let at = 0;
  for (let k = 0; k < size[2]; k++) for (let j = 0; j < size[1]; j++) for (let i = 0; i < size[0]; i++) voxels[at++] = value(i, j, k);
  return { size, affine, voxels };
}

function pack(name: string): { manifest: ReturnType<typeof parseManifest>; open: () => Promise<OnnxSession> } {
  return {
    manifest: parseManifest(JSON.parse(readFileSync(join(PACKS, name, 'manifest.json'), 'utf8'))),
    open: () => openOnnxSession(join(PACKS, name, 'model.onnx'), { providers: ['cpu'], strict: true, gpu: { deviceId: 0, cuda: {}, tensorrt: {} }, intraOpThreads: 1 }),
  };
}

describe('retinanet-3d gives what MONAI gives', () => {
  const { manifest, open } = pack('retinanet-3d-tiny');
  const { cases } = golden('retinanet-3d.json') as { cases: DetectorCase[] };
  const detector = manifest as Retinanet3dManifest;
  let session: OnnxSession;
  beforeAll(async () => { session = await open(); });

  it.each(cases)('of a CT of $size voxels, $spacing mm: resampled voxels, boxes and scores', async (golden) => {
    const volume = ct(golden);
    const view = axisView(volume, detector.preprocessing.axes, detector.preprocessing.spacingMm);
    expect(view.size).toEqual(golden.networkSize);
    for (const [x, y, z, expected] of golden.samples) {
      const one = new Float32Array(1);
      readWindow(view, volume.voxels, [x, y, z], [1, 1, 1], one, { scale: 1 / 1324, offset: 1024 / 1324, low: 0, high: 1, keepsZero: false }, 0);
      expect(one[0]).toBeCloseTo(expected, 4);
    }
    const { detections, details } = await detect(volume, detector, () => Promise.resolve(session), tools());
    expect(detections).toHaveLength(golden.scores.length);
    expect(details).toMatchObject({ positive: golden.scores.length });
    let worst = 0;
    for (const [n, { box, centre, score }] of detections.entries()) {
      const [a = [], b = []] = golden.corners[n] ?? [];
      worst = Math.max(worst, Math.abs(score - (golden.scores[n] ?? NaN)));
      for (const axis of [0, 1, 2] as const) {
        const [low, high] = [Math.min(a[axis] ?? NaN, b[axis] ?? NaN), Math.max(a[axis] ?? NaN, b[axis] ?? NaN)];
        worst = Math.max(worst, Math.abs((box?.[0][axis] ?? NaN) - low), Math.abs((box?.[1][axis] ?? NaN) - high), Math.abs(centre[axis] - (low + high) / 2));
      }
    }
    expect(worst).toBeLessThan(1e-3);
  });

  it('the same with windows one by one, as after a lack of memory', async () => {
    const [first] = cases;
    if (!first) throw new Error('no case');
    const [together, apart] = [await detect(ct(first), detector, () => Promise.resolve(session), tools()), await detect(ct(first), detector, () => Promise.resolve(session), tools(true))];
    expect(apart.detections.length).toBe(together.detections.length);
    for (const [n, { score }] of apart.detections.entries()) expect(score).toBeCloseTo(together.detections[n]?.score ?? NaN, 5);
  });

  it('and its pack passes the check', async () => {
    await expect(checkDetector(detector, () => Promise.resolve(session))).resolves.toBeUndefined();
  });
});

describe('sliding-window-segmentation gives what MONAI gives', () => {
  const { manifest, open } = pack('segresnet-tiny');
  const { cases } = golden('sliding-window-segmentation.json') as { cases: SegmentationCase[] };
  let session: OnnxSession;
  beforeAll(async () => { session = await open(); });

  it.each(cases)('of an MR of $size voxels, blended $window.blending: probabilities and labels', async (golden) => {
    const segmentation = { ...(manifest as SlidingWindowSegmentationManifest), window: golden.window };
    const channels = Object.fromEntries(segmentation.channels.map((name, c) => [name, mr(golden, c)]));
    const { labels } = await segment(channels, segmentation, () => Promise.resolve(session), tools());
    const counts: Record<string, number> = {};
    for (const value of labels) counts[value] = (counts[value] ?? 0) + 1;
    // ONNX Runtime and PyTorch differ by 1e-5 in the logits; a voxel on the threshold may tip.
    for (const value of Object.keys({ ...counts, ...golden.counts })) expect(Math.abs((counts[value] ?? 0) - (golden.counts[value] ?? 0))).toBeLessThanOrEqual(1);
    const view = axisView({ size: golden.size, affine: mr(golden, 0).affine }, segmentation.preprocessing.axes);
    const planes = new Map<number, Float32Array>();
    await blendLogits(channels, view, segmentation, () => Promise.resolve(session), tools(), ({ at, values }) => planes.set(at, values.slice()));
    const [sizeX, sizeY] = view.size;
    for (const [i, j, k, label, ...chances] of golden.samples) {
      expect(labels[i + golden.size[0] * (j + golden.size[1] * k)]).toBe(label);
      // RAS: the first two axes run against those of the volume.
      const cell = (sizeX - 1 - i) * sizeY + (sizeY - 1 - j);
      for (const [channel, chance] of chances.entries()) {
        const logit = planes.get(k)?.[channel * sizeX * sizeY + cell] ?? NaN;
        expect(Math.abs(1 / (1 + Math.exp(-logit)) - chance)).toBeLessThan(1e-3);
      }
    }
  });

  it('and its pack passes the check', async () => {
    await expect(checkSegmentation(manifest as SlidingWindowSegmentationManifest, () => Promise.resolve(session))).resolves.toBeUndefined();
  });
});
