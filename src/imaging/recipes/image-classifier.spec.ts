import { describe, expect, it } from 'vitest';
import type { ImageClassifierManifest } from '../model/manifests/image-classifier.js';
import type { Session, Tensor } from '../model/session.js';
import { check, classify, prepare } from './image-classifier.js';

const SIDE = 16;

function manifest(activationMap: boolean, channels: 1 | 3 = 1): ImageClassifierManifest {
  return {
    manifestVersion: 1, name: 'test', version: '1.0.0', title: 'Test', license: 'x', intendedUse: 'x', analysis: 'chest-xray-classification', recipe: 'image-classifier',
    domain: { modalities: ['DX'], bodyParts: ['CHEST'], unknownAge: 'inside', unknownView: 'inside', unknownBodyPart: 'inside' },
    files: [{ path: 'model.onnx', sha256: '0'.repeat(64) }],
    input: { name: 'image', shape: ['batch', channels, SIDE, SIDE], type: 'float32' },
    outputs: { logits: { name: 'logits', shape: ['batch', 1] }, ...(activationMap && { activationMap: { name: 'map', shape: ['batch', 1, 4, 4] } }) },
    preprocessing: { crop: 'centre-square', resize: { height: SIDE, width: SIDE, interpolation: 'area' }, scale: 255, mean: new Array<number>(channels).fill(0), std: new Array<number>(channels).fill(1) },
    postprocessing: { activation: 'sigmoid', calibration: { method: 'platt', slope: 2, intercept: 0 } },
    labels: [{ index: 0, name: 'Spot', code: { system: 'x', value: 'y', meaning: 'z' }, threshold: 0.5, critical: false, enabled: true }],
    validation: [],
  };
}

/** A network whose logit is what `logit` says of each image. */
function network(logit: (image: Float32Array) => number, map?: number[]): Session & { runs: number[] } {
  const runs: number[] = [];
  return {
    runs, inputNames: ['image'], outputNames: ['logits', 'map'], provider: 'test', inputShapes: {},
    run: (feeds) => {
      const input = feeds.image;
      if (!(input?.data instanceof Float32Array)) throw new Error('no image');
      const { data, dims } = input;
      const [count = 0] = dims;
      runs.push(count);
      const size = data.length / count;
      const logits = Float32Array.from({ length: count }, (_, i) => logit(data.subarray(i * size, (i + 1) * size)));
      const outputs: Record<string, Tensor> = { logits: { data: logits, dims: [count, 1] } };
      if (map) outputs.map = { data: Float32Array.from(map), dims: [1, 1, 4, 4] };
      return Promise.resolve(outputs);
    },
  };
}

/** Grey, with one bright square of 2 × 2 whose top left corner is at (x, y). */
const spot = (width: number, height: number, x: number, y: number) => {
  const data = new Uint8Array(width * height).fill(100);
  for (const [dx, dy] of [[0, 0], [1, 0], [0, 1], [1, 1]] as const) data[(y + dy) * width + x + dx] = 255;
  return { width, height, channels: 1 as const, data };
};

const peakOf = ({ data, width }: { data: Float32Array; width: number }): [number, number] => {
  const at = data.indexOf(Math.max(...data));
  return [at % width, Math.floor(at / width)];
};

describe('classify', () => {
  const brightest = (image: Float32Array): number => 10 * (Math.max(...image) - 0.5);

  it('finds by occlusion where the evidence is, in a bounded number of runs', async () => {
    const session = network(brightest);
    const { labels } = await classify(prepare(spot(SIDE, SIDE, 10, 4), manifest(false)), manifest(false), session);
    const [only] = labels;
    expect(only?.probability).toBeCloseTo(1 / (1 + Math.exp(-10)), 4);
    expect([only?.heatMap.width, only?.heatMap.height]).toEqual([8, 8]);
    expect(peakOf(only?.heatMap ?? { data: new Float32Array(), width: 1 })).toEqual([5, 2]);
    expect(session.runs).toEqual([1, 16, 16, 16, 16]);
  });

  it('is signed: what hides the finding when it is covered speaks against it', async () => {
    const session = network((image) => -10 * Math.max(...image));
    const { labels } = await classify(prepare(spot(SIDE, SIDE, 10, 4), manifest(false)), manifest(false), session);
    expect(Math.min(...(labels[0]?.heatMap.data ?? []))).toBeLessThan(0);
    expect(Math.max(...(labels[0]?.heatMap.data ?? []))).toBeCloseTo(0, 5);
  });

  it('takes the class activation map of the model, in units of the calibrated logit', async () => {
    const map = Array.from({ length: 16 }, (_, i) => i - 8);
    const { labels } = await classify(prepare(spot(SIDE, SIDE, 3, 3), manifest(true)), manifest(true), network(brightest, map));
    expect([...(labels[0]?.heatMap.data ?? [])]).toEqual(map.map((value) => 2 * value));
  });

  it('maps evidence from the crop to the whole image', async () => {
    // 48 × 16: the crop is the middle third. Its top left cell is the only one with evidence.
    const map = [8, ...new Array<number>(15).fill(0)];
    const { labels } = await classify(prepare(spot(48, 16, 3, 3), manifest(true)), manifest(true), network(brightest, map));
    const heatMap = labels[0]?.heatMap ?? { width: 1, height: 1, data: new Float32Array(1) };
    expect([heatMap.width, heatMap.height]).toEqual([48, 16]);
    const [x, y] = peakOf(heatMap);
    expect(x).toBeGreaterThanOrEqual(16);
    expect(x).toBeLessThan(20);
    expect(y).toBeLessThan(4);
    expect(heatMap.data.slice(0, 16).every((value) => value === 0)).toBe(true);
  });

  it('refuses numbers that are not finite and outputs of another shape', async () => {
    const input = prepare(spot(SIDE, SIDE, 1, 1), manifest(false));
    await expect(classify(input, manifest(false), network(() => NaN))).rejects.toMatchObject({ code: 'model-output-invalid' });
    await expect(classify(input, manifest(true), network(brightest, new Array<number>(16).fill(Infinity)))).rejects.toMatchObject({ code: 'model-output-invalid' });
    const two = { ...network(() => 0), run: () => Promise.resolve({ logits: { data: Float32Array.of(1, 2), dims: [2, 1] } }) };
    await expect(classify(input, manifest(false), two)).rejects.toMatchObject({ code: 'model-output-invalid' });
  });
});

describe('check', () => {
  it('names the tensor that the network does not have', async () => {
    await expect(check(manifest(false), { ...network(() => 0), inputNames: ['pixels'] })).rejects.toMatchObject({ code: 'model-load-failed', detail: 'The model has no input "image"; it has pixels' });
    await expect(check(manifest(true), { ...network(() => 0), outputNames: ['logits'] })).rejects.toMatchObject({ code: 'model-load-failed', detail: 'The model has no output "map"; it has logits' });
    await expect(check(manifest(false), network(() => 0))).resolves.toBeUndefined();
  });
});

describe('an image like no other', () => {
  const asking = { ...manifest(true), outOfDistribution: { output: 'strangeness', threshold: 0.2, falseAlarmRate: 0.05, n: 100 } };
  const saying = (strangeness: (image: Float32Array) => number): Session => {
    const plain = network(() => 0, new Array<number>(16).fill(0));
    return {
      ...plain, outputNames: [...plain.outputNames, 'strangeness'],
      run: async (feeds) => ({ ...(await plain.run(feeds)), strangeness: { data: Float32Array.of(strangeness(feeds.image?.data as Float32Array)), dims: [1, 1] } }),
    };
  };
  const mean = (image: Float32Array): number => image.reduce((sum, value) => sum + value, 0) / image.length;

  it('is told by the output that the manifest names, and its labels are given all the same', async () => {
    const { labels, outOfDistribution } = await classify(prepare(spot(SIDE, SIDE, 1, 1), asking), asking, saying(mean));
    expect(outOfDistribution).toMatchObject({ threshold: 0.2, strange: true });
    expect(outOfDistribution?.score).toBeCloseTo((252 * 100 + 4 * 255) / 256 / 255, 6);
    expect(labels).toHaveLength(1);
    expect((await classify(prepare(spot(SIDE, SIDE, 1, 1), manifest(true)), manifest(true), saying(mean))).outOfDistribution).toBeUndefined();
  });

  it('is asked for when the model is tried', async () => {
    await check(asking, saying(mean));
    await expect(check(asking, network(() => 0, new Array<number>(16).fill(0)))).rejects.toMatchObject({ code: 'model-load-failed' });
    await expect(check(asking, saying(() => Infinity))).rejects.toMatchObject({ code: 'model-output-invalid' });
  });
});
