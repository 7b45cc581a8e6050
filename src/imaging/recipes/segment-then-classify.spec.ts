import { describe, expect, it } from 'vitest';
import { segmentThenClassifySchema, type SegmentThenClassifyManifest } from '../model/manifests/segment-then-classify.js';
import type { Session, Tensor } from '../model/session.js';
import type { Volume } from '../volume/volume.js';
import { intensityScale } from './intensity.js';
import { check, chunkAround, detect } from './segment-then-classify.js';

const SIDE = 32;

function manifest(change: (json: ReturnType<typeof plain>) => void = () => undefined): SegmentThenClassifyManifest {
  const json = plain();
  change(json);
  return segmentThenClassifySchema.parse(json);
}

const plain = () => ({
  manifestVersion: 1, name: 'test', version: '1.0.0', title: 'Test', license: 'x', intendedUse: 'x', analysis: 'lung-nodule-detection', recipe: 'segment-then-classify',
  domain: { modalities: ['CT'], bodyParts: ['CHEST'] },
  files: [{ path: 'seg.onnx', sha256: '0'.repeat(64) }, { path: 'cls.onnx', sha256: '1'.repeat(64) }],
  networks: {
    segmentation: { path: 'seg.onnx', input: { name: 'slices', shape: ['n', 3, SIDE, SIDE] as (string | number)[] }, output: { name: 'prob', shape: ['n', 1, SIDE, SIDE] as (string | number)[] } },
    classification: { path: 'cls.onnx', input: { name: 'chunk', shape: ['n', 1, 4, 8, 8] }, output: { name: 'prob', shape: ['n', 2] } },
  },
  preprocessing: { clipHu: [-1000, 1000] },
  candidates: { threshold: 0.5, erosions: 1, weightOffsetHu: 1001, max: 100 },
  findings: {},
  labels: [{ index: 1, name: 'Nodule', code: { system: 'x', value: 'y', meaning: 'z' }, threshold: 0.5 }],
  validation: [],
});

interface Fakes {
  /** Of a voxel of the middle slice. */
  mark?: (hu: number) => number;
  /** Of the mean of a chunk. */
  judge?: (mean: number) => number;
}

/** Marks what is above −500 HU; takes for a nodule what has a bright middle. */
function networks({ mark = (hu) => (hu > -500 ? 0.9 : 0.1), judge = () => 0.75 }: Fakes = {}): { open: (path: string) => Promise<Session>; dims: number[][] } {
  const dims: number[][] = [];
  const session = (input: string, output: string, work: (tensor: Tensor) => Tensor): Session => ({
    inputNames: [input], outputNames: [output], provider: 'test', inputShapes: {},
    run: (feeds) => {
      const tensor = feeds[input];
      if (!tensor) throw new Error('no input');
      dims.push([...tensor.dims]);
      return Promise.resolve({ [output]: work(tensor) });
    },
  });
  const segmenter = session('slices', 'prob', ({ data, dims: [, depth = 0, rows = 0, columns = 0] }) => {
    const middle = ((depth - 1) / 2) * rows * columns;
    return { dims: [1, 1, rows, columns], data: Float32Array.from({ length: rows * columns }, (_, i) => mark(Number(data[middle + i]))) };
  });
  const classifier = session('chunk', 'prob', ({ data }) => {
    const probability = judge([...data].reduce((total: number, one) => total + Number(one), 0) / data.length);
    return { dims: [1, 2], data: Float32Array.of(1 - probability, probability) };
  });
  return { open: (path) => Promise.resolve(path === 'seg.onnx' ? segmenter : classifier), dims };
}

/** Lung with cubes of soft tissue, 5 voxels wide, around these places. */
function ct(cubes: readonly (readonly [number, number, number])[], [columns, rows, slices] = [SIDE, SIDE, 12]): Volume {
  const voxels = new Int16Array(columns * rows * slices).fill(-850);
  for (const [x, y, z] of cubes) for (let k = z - 2; k <= z + 2; k++) for (let j = y - 2; j <= y + 2; j++) for (let i = x - 2; i <= x + 2; i++) voxels[i + columns * (j + rows * k)] = 40;
  return { size: [columns, rows, slices], affine: [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]], voxels };
}

const quiet = { progress: () => undefined };

describe('detect', () => {
  it('gives the centre, the eroded mask and the score of each nodule, and counts', async () => {
    const seen: number[] = [];
    const { detections, details } = await detect(ct([[8, 9, 5], [20, 21, 6]]), manifest(), networks().open, { progress: (done) => { seen.push(done); } });
    expect(details).toEqual({ candidates: 2, positive: 2 });
    expect(detections.map(({ centre }) => centre.map(Math.round))).toEqual([[8, 9, 5], [20, 21, 6]]);
    expect(detections[0]?.score).toBeCloseTo(0.75, 6);
    expect(detections[0]?.mask).toEqual({ box: [[7, 8, 4], [9, 10, 6]], voxels: new Uint8Array(27).fill(1) });
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(seen.at(-1)).toBe(1);
  });

  it('leaves out what the second network does not take for a nodule', async () => {
    // The second chunk holds a piece of the first cube's neighbourhood and is brighter.
    const { details } = await detect(ct([[8, 9, 5], [20, 21, 6]]), manifest(), networks({ judge: () => 0.4999 }).open, quiet);
    expect(details).toEqual({ candidates: 2, positive: 0 });
  });

  it('pads smaller planes, tiles larger ones, and gives the same', async () => {
    for (const [columns, rows] of [[28, 30], [48, 40]] as const) {
      const fakes = networks();
      const { detections } = await detect(ct([[8, 9, 5]], [columns, rows, 12]), manifest(), fakes.open, quiet);
      expect(detections.map(({ centre }) => centre.map(Math.round))).toEqual([[8, 9, 5]]);
      expect(fakes.dims[0]).toEqual([1, 3, SIDE, SIDE]);
    }
    const free = manifest((json) => { json.networks.segmentation.input.shape = ['n', 3, 'h', 'w']; json.networks.segmentation.output.shape = ['n', 1, 'h', 'w']; });
    const fakes = networks();
    const { detections } = await detect(ct([[8, 9, 5]], [50, 40, 12]), free, fakes.open, quiet);
    expect(detections.length).toBe(1);
    expect(fakes.dims[0]).toEqual([1, 3, 48, 64]);
  });

  it('classifies the largest candidates where there are too many, and says so', async () => {
    const { details } = await detect(ct([[5, 5, 5], [15, 15, 5], [25, 25, 5]]), manifest((json) => { json.candidates.max = 2; }), networks().open, quiet);
    expect(details).toEqual({ candidates: 3, positive: 2, notClassified: 1 });
  });

  it('refuses numbers that are not finite, of either network', async () => {
    for (const fakes of [{ mark: () => NaN }, { mark: (hu: number) => (hu > 0 ? Infinity : 0) }, { judge: () => NaN }]) {
      await expect(detect(ct([[8, 9, 5]]), manifest(), networks(fakes).open, quiet)).rejects.toMatchObject({ code: 'model-output-invalid' });
    }
    await expect(detect(ct([[8, 9, 5]]), manifest(), networks({ judge: () => 3 }).open, quiet)).rejects.toMatchObject({ code: 'model-output-invalid' });
  });
});

describe('chunkAround', () => {
  const volume = { ...ct([], [10, 10, 6]), voxels: Int16Array.from({ length: 600 }, (_, offset) => offset) };
  const intensity = intensityScale({ clipHu: [-1000, 1000], offset: 0, scale: 1 });

  it('moves the box inside of the volume', () => {
    expect(chunkAround(volume, [5, 5, 3], [4, 4, 2], intensity)[0]).toBe(3 + 10 * (3 + 10 * 2));
    expect(chunkAround(volume, [0, 9, 5], [4, 4, 2], intensity)[0]).toBe(0 + 10 * (6 + 10 * 4));
    // Half goes to the even number, as in numpy.
    expect(chunkAround(volume, [4.5, 5.5, 3], [4, 4, 2], intensity)[0]).toBe(2 + 10 * (4 + 10 * 2));
  });

  it('fills up what a small volume does not have', () => {
    const chunk = chunkAround(volume, [5, 5, 3], [4, 4, 8], intensity);
    expect([chunk[0], chunk[5 * 16], chunk[6 * 16]]).toEqual([33, 533, -1000]);
  });

  it('leaves nothing of what was in the memory that it is given', () => {
    for (const wanted of [[4, 4, 2], [4, 4, 8], [12, 12, 8]] as const) {
      const given = new Float32Array(wanted[0] * wanted[1] * wanted[2]).fill(7777);
      expect(chunkAround(volume, [5, 5, 3], wanted, intensity, given)).toBe(given);
      expect(given).toEqual(chunkAround(volume, [5, 5, 3], wanted, intensity));
    }
  });
});

describe('check', () => {
  it('tries both networks', async () => {
    const fakes = networks();
    await expect(check(manifest(), fakes.open)).resolves.toBeUndefined();
    expect(fakes.dims).toEqual([[1, 3, SIDE, SIDE], [1, 1, 4, 8, 8]]);
    await expect(check(manifest(), networks({ judge: () => NaN }).open)).rejects.toMatchObject({ code: 'model-output-invalid' });
  });

  it('names the tensor that a network does not have, and the shape that it has', async () => {
    const { open } = networks();
    await expect(check(manifest(), async (path) => ({ ...(await open(path)), inputNames: ['pixels'] }))).rejects.toMatchObject({ code: 'model-load-failed', detail: 'seg.onnx: the network has no input "slices"; it has pixels' });
    await expect(check(manifest(), async (path) => ({ ...(await open(path)), inputShapes: { chunk: [1, 1, 4, 8, 9] } }))).rejects.toMatchObject({ code: 'model-load-failed', detail: 'cls.onnx: the input "chunk" has the shape [1, 1, 4, 8, 9], the manifest says [n, 1, 4, 8, 8]' });
    await expect(check(manifest(), async (path) => ({ ...(await open(path)), inputShapes: { slices: ['n', 3, SIDE, SIDE], chunk: [1, 1, 4, 8, 8] } }))).resolves.toBeUndefined();
  });
});

describe('the manifest', () => {
  it('names what does not fit', () => {
    const faults = (change: (json: ReturnType<typeof plain>) => void): string[] => {
      const json = plain();
      change(json);
      return segmentThenClassifySchema.safeParse(json).error?.issues.map(({ path, message }) => `${path.join('/')}: ${message}`) ?? [];
    };
    expect(faults(() => undefined)).toEqual([]);
    expect(faults((json) => { json.networks.segmentation.path = 'other.onnx'; })).toEqual(['networks/segmentation/path: is not one of the files']);
    expect(faults((json) => { json.networks.segmentation.input.shape[1] = 4; })).toEqual(['networks/segmentation/input/shape/1: must be odd: the slice in the middle is segmented']);
    expect(faults((json) => { json.candidates.weightOffsetHu = 999; })).toEqual(['candidates/weightOffsetHu: leaves negative weights']);
    expect(faults((json) => { Object.assign(json.labels[0] ?? {}, { index: 2 }); })).toEqual(['labels/0/index: the output has 2 numbers']);
  });
});
