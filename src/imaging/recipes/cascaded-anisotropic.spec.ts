import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseManifest } from '../model/manifest.js';
import type { CascadedAnisotropicManifest } from '../model/manifests/cascaded-anisotropic.js';
import type { Session, Tensor } from '../model/session.js';
import type { Affine, Vector3, Volume } from '../volume/volume.js';
import { check, segment } from './cascaded-anisotropic.js';

const json = JSON.parse(readFileSync(new URL('../../../test/model-packs/brats17/manifest.json', import.meta.url), 'utf8')) as CascadedAnisotropicManifest; // parsed below
const plane = { height: 16, width: 16 };
const small = <T extends { path: string }>(views: Record<string, T>): unknown => Object.fromEntries(Object.entries(views).map(([view, network]) => [view, { ...network, leastPlane: plane }]));
/** The pack with small planes and limits: the body of these tests is 24 voxels across. */
const manifest = parseManifest({
  ...json,
  networks: Object.fromEntries(Object.entries(json.networks).map(([region, views]) => [region, small(views)])),
  postprocessing: { ...json.postprocessing, wholeTumourMinVoxels: 50 },
}) as CascadedAnisotropicManifest; // its recipe says so

const SIZE: Vector3 = [30, 32, 28];
const AFFINE: Affine = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]];

/** A head of 12 voxels' radius in which each sequence has a bright ball of its own: FLAIR 6, T1c 4, T2 3 voxels. */
function head(): Record<'flair' | 't1' | 't1c' | 't2', Volume> {
  const of = (radius: number): Volume => {
    const voxels = new Int16Array(SIZE[0] * SIZE[1] * SIZE[2]);
    for (let at = 0; at < voxels.length; at++) {
      const [i, j, k] = [at % 30, Math.floor(at / 30) % 32, Math.floor(at / 960)];
      const centre = Math.hypot(i - 14, j - 15, k - 13);
      if (centre <= 12) voxels[at] = Math.hypot(i - 16, j - 15, k - 13) <= radius ? 1000 : 100 + (at % 7);
    }
    return { size: SIZE, affine: AFFINE, voxels };
  };
  return { flair: of(6), t1: of(-1), t1c: of(4), t2: of(3) };
}

/** Says 0.9 where a channel is above 1.5 standard deviations: whole tumour by FLAIR, core by T1c, enhancing by T2. */
function networks(change: Partial<Session> & { answer?: (tensor: Tensor) => Tensor } = {}, asked: string[] = []): (path: string) => Promise<Session> {
  return (path) => Promise.resolve({
    inputNames: ['input'], outputNames: ['prob'], provider: 'cpu', inputShapes: { input: ['n', 4, 19, 'h', 'w'] },
    run: ({ input }) => {
      const { data, dims: [n = 0, channels = 0, slices = 0, height = 0, width = 0] } = input ?? { data: new Float32Array(), dims: [] };
      asked.push(`${path} ${n}x${channels}x${slices}x${height}x${width}`);
      const channel = path.includes('_wt') ? 0 : path.includes('_tc') ? 2 : 3;
      const area = height * width;
      const out = new Float32Array(n * 2 * 11 * area);
      for (let b = 0; b < n; b++) {
        for (let at = 0; at < 11 * area; at++) {
          const p = Number(data[((b * channels + channel) * slices + 4) * area + at]) > 1.5 ? 0.9 : 0.1;
          out[b * 22 * area + at] = 1 - p;
          out[(b * 2 + 1) * 11 * area + at] = p;
        }
      }
      const tensor: Tensor = { data: out, dims: [n, 2, 11, height, width] };
      return Promise.resolve({ prob: change.answer ? change.answer(tensor) : tensor });
    },
    ...change,
  });
}

const progress = (): void => undefined;
const count = (labels: Uint8Array, value: number): number => labels.reduce((sum, one) => sum + (one === value ? 1 : 0), 0);
const ball = (radius: number): number => {
  let voxels = 0;
  for (let x = -7; x <= 7; x++) for (let y = -7; y <= 7; y++) for (let z = -7; z <= 7; z++) if (Math.hypot(x, y, z) <= radius) voxels++;
  return voxels;
};

describe('segment', () => {
  it('finds the whole, the core in it and the enhancing part in that, from three sides', async () => {
    const asked: string[] = [];
    const done: number[] = [];
    const { labels, score, details } = await segment(head(), manifest, networks({}, asked), { progress: (part) => { done.push(part); } });
    // Closing with 18 neighbours leaves balls as they are.
    expect([count(labels, 4), count(labels, 1), count(labels, 2)]).toEqual([ball(3), ball(4) - ball(3), ball(6) - ball(4)]);
    expect(labels[16 + 30 * (15 + 32 * 13)]).toBe(4);
    expect(score).toBeCloseTo(0.9, 5);
    expect(asked).toHaveLength(9);
    expect(asked.every((call) => call.includes(' 5x4x19x'))).toBe(true);
    expect(done).toEqual([...done].sort((a, b) => a - b));
    expect(done.at(-1)).toBe(1);
    expect(details).toMatchObject({ predicted: { wholeTumour: ball(6), tumourCore: ball(4), enhancing: ball(3) } });
  });

  it('gives the same labels for the same voxels', async () => {
    const once = await segment(head(), manifest, networks(), { progress });
    expect(await segment(head(), manifest, networks(), { progress })).toEqual(once);
  });

  it('finds nothing where nothing is, and looks at the whole box then', async () => {
    const { t1 } = head();
    const { labels } = await segment({ flair: t1, t1, t1c: t1, t2: t1 }, manifest, networks(), { progress });
    expect(count(labels, 0)).toBe(labels.length);
    const empty = { ...t1, voxels: new Int16Array(t1.voxels.length) };
    expect((await segment({ flair: empty, t1, t1c: t1, t2: t1 }, manifest, networks(), { progress })).labels).toEqual(new Uint8Array(t1.voxels.length));
  });

  it('refuses numbers that are not finite and tensors of another shape', async () => {
    const nan = (tensor: Tensor): Tensor => { tensor.data[100] = NaN; return tensor; };
    await expect(segment(head(), manifest, networks({ answer: nan }), { progress })).rejects.toMatchObject({ code: 'model-output-invalid' });
    await expect(segment(head(), manifest, networks({ answer: ({ data }) => ({ data, dims: [5, 2, 11, 4] }) }), { progress })).rejects.toMatchObject({ code: 'model-output-invalid' });
    await expect(segment({ flair: head().flair }, manifest, networks(), { progress })).rejects.toMatchObject({ code: 'internal' });
  });
});

describe('check', () => {
  it('tries every network', async () => {
    const asked: string[] = [];
    await check(manifest, networks({}, asked));
    expect(new Set(asked).size).toBe(9);
  });

  it('says which network lacks what', async () => {
    await expect(check(manifest, networks({ inputNames: ['x'] }))).rejects.toMatchObject({ code: 'model-load-failed', message: expect.stringContaining('msnet17_wt32.onnx') as string });
    await expect(check(manifest, networks({ outputNames: ['x'] }))).rejects.toMatchObject({ code: 'model-load-failed' });
    await expect(check(manifest, networks({ answer: ({ dims }) => ({ data: new Float32Array(dims.reduce((a, b) => a * b, 1)).fill(Infinity), dims }) }))).rejects.toMatchObject({ code: 'model-output-invalid' });
  });
});

describe('the manifest', () => {
  const faults = (change: object): string => {
    try {
      parseManifest({ ...json, ...change });
      return '';
    } catch (error) {
      return error instanceof Error ? error.message : '';
    }
  };

  it('refuses what contradicts itself', () => {
    expect(faults({})).toBe('');
    expect(faults({ window: { ...json.window, stride: 12 } })).toContain('/window/stride');
    expect(faults({ window: { ...json.window, outputSlices: 21 } })).toContain('/window/outputSlices');
    expect(faults({ networks: { ...json.networks, tumourCore: { ...json.networks.tumourCore, axial: { path: 'x.onnx', leastPlane: plane } } } })).toContain('/networks/tumourCore/axial/path');
    expect(faults({ report: { ...json.report, segments: json.report.segments.slice(1) } })).toContain('must have a whole tumour');
    expect(faults({ window: { ...json.window, strides: 11 } })).toContain('did you mean "stride"');
  });
});
