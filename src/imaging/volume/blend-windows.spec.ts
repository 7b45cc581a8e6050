import { describe, expect, it } from 'vitest';
import { blendWindows, type BlendOptions, type Plane } from './blend-windows.js';
import type { Vector3 } from './volume.js';
import { planWindows, type Blending } from './windows.js';

/** Windows that hold their own place in the image: 1 + z + 10 y + 100 x, 0 in the padding. */
function readPlaces(image: Vector3, window: Vector3): BlendOptions['read'] {
  return (start, into) => {
    let at = 0;
    for (let x = 0; x < window[0]; x++) for (let y = 0; y < window[1]; y++) for (let z = 0; z < window[2]; z++) {
      const place: Vector3 = [start[0] + x, start[1] + y, start[2] + z];
      const inside = place.every((value, axis) => value >= 0 && value < (image[axis] ?? 0));
      into[at++] = inside ? 1 + place[2] + 10 * place[1] + 100 * place[0] : 0;
    }
  };
}

async function blend(image: Vector3, window: Vector3, overlap: number, options: Partial<BlendOptions> = {}, blending: Blending = { blending: 'constant' }): Promise<{ planes: Plane[]; windows: number; batches: number[] }> {
  const plan = planWindows(image, window, overlap);
  const planes: Plane[] = [];
  const batches: number[] = [];
  const windows = await blendWindows({
    plan, blending, channels: 1, batch: 1, read: readPlaces(image, window),
    run: (data, count) => {
      batches.push(count);
      return Promise.resolve([{ data: data.slice(), dims: [count, 1, ...window] }]);
    },
    plane: (plane) => planes.push({ ...plane, values: plane.values.slice() }),
    ...options,
  });
  return { planes, windows, batches };
}

describe('blending of windows', () => {
  const image: Vector3 = [7, 5, 9];
  const expected = (z: number): number[] => Array.from({ length: 35 }, (_, i) => 1 + z + 10 * (i % 5) + 100 * Math.floor(i / 5));

  it.each([{ blending: 'constant' } as const, { blending: 'gaussian', sigmaScale: 0.125 } as const])('puts an image together again that a network leaves as it is, $blending', async (blending) => {
    const { planes, windows } = await blend(image, [4, 4, 4], 0.5, { batch: 3 }, blending);
    expect(windows).toBe(3 * 2 * 4);
    expect(planes.map(({ at }) => at)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    for (const { at, values, size } of planes) {
      expect(size).toEqual([7, 5, 9]);
      for (const [i, value] of expected(at).entries()) expect(values[i]).toBeCloseTo(value, 3);
    }
  });

  it('cuts the padding of an image smaller than the window off again', async () => {
    const { planes, windows } = await blend([3, 5, 2], [4, 4, 5], 0.25);
    expect(windows).toBe(2);
    expect(planes).toHaveLength(2);
    expect([...(planes[1]?.values ?? [])]).toEqual([2, 12, 22, 32, 42, 102, 112, 122, 132, 142, 202, 212, 222, 232, 242]);
  });

  it('hands planes out as soon as no further window touches them, so that few are held', async () => {
    const order: string[] = [];
    await blend([2, 2, 40], [2, 2, 4], 0.5, {
      run: (data, count) => {
        order.push('run');
        return Promise.resolve([{ data, dims: [count, 1, 2, 2, 4] }]);
      },
      plane: ({ at }) => order.push(`plane ${at}`),
    });
    expect(order.slice(0, 8)).toEqual(['run', 'plane 0', 'plane 1', 'run', 'plane 2', 'plane 3', 'run', 'plane 4']);
    expect(order.filter((step) => step === 'run')).toHaveLength(19);
  });

  it('weighs what windows disagree about', async () => {
    let n = 0;
    const { planes } = await blend([2, 1, 1], [1, 1, 1], 0, { run: () => Promise.resolve([{ data: Float32Array.of(++n), dims: [1, 1, 1, 1, 1] }]) });
    expect([...(planes[0]?.values ?? [])]).toEqual([1, 2]);
    let m = 0;
    const half = await blend([6, 1, 1], [4, 1, 1], 0.5, { run: () => Promise.resolve([{ data: new Float32Array(4).fill(2 * m++), dims: [1, 1, 4, 1, 1] }]) });
    expect([...(half.planes[0]?.values ?? [])]).toEqual([0, 0, 1, 1, 2, 2]);
  });

  it('keeps outputs of other resolutions on grids of their own', async () => {
    const { planes } = await blend([8, 8, 8], [4, 4, 4], 0.5, {
      run: (_, count) => Promise.resolve([{ data: new Float32Array(count * 64).fill(1), dims: [count, 1, 4, 4, 4] }, { data: new Float32Array(count * 16).fill(2), dims: [count, 2, 2, 2, 2] }]),
    });
    expect(planes.filter(({ output }) => output === 0)).toHaveLength(8);
    const coarse = planes.filter(({ output }) => output === 1);
    expect(coarse.map(({ at }) => at)).toEqual([0, 1, 2, 3]);
    expect(coarse[0]).toMatchObject({ channels: 2, size: [4, 4, 4] });
    expect([...(coarse[0]?.values ?? [])]).toEqual(new Array(32).fill(2));
  });

  it('feeds batches, the last one smaller, and says how far it is', async () => {
    const done: number[] = [];
    const { batches } = await blend([1, 1, 5], [1, 1, 1], 0, { batch: 2, progress: (value) => done.push(value) });
    expect(batches).toEqual([2, 2, 1]);
    expect(done).toEqual([0.4, 0.8, 1]);
  });

  it('refuses outputs that are no volumes or change their shape', async () => {
    await expect(blend([4, 4, 4], [2, 2, 2], 0, { run: () => Promise.resolve([{ data: Float32Array.of(1), dims: [1, 1] }]) })).rejects.toMatchObject({ code: 'model-output-invalid' });
    let n = 0;
    await expect(blend([4, 4, 4], [2, 2, 2], 0, { run: () => Promise.resolve([{ data: new Float32Array(16), dims: [1, ++n, 2, 2, 2] }]) })).rejects.toMatchObject({ code: 'model-output-invalid' });
  });
});
