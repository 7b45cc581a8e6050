import { describe, expect, it } from 'vitest';
import { axisView, labelsOnGrid, readWindow, roundHalfEven, toVolumeIndex } from './axis-view.js';
import type { Affine, Vector3 } from './volume.js';

const lps: Affine = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]];
/** Each voxel says where it lies: i + 10 j + 100 k. */
const telling = ([columns, rows, slices]: Vector3): Int16Array =>
  Int16Array.from({ length: columns * rows * slices }, (_, n) => (n % columns) + 10 * (Math.floor(n / columns) % rows) + 100 * Math.floor(n / (columns * rows)));
const read = (view: ReturnType<typeof axisView>, voxels: Int16Array, start: Vector3, size: Vector3, outside = -1): number[] => {
  const into = new Float32Array(size[0] * size[1] * size[2]);
  readWindow(view, voxels, start, size, into, { scale: 1, offset: 0, low: -Infinity, high: Infinity, keepsZero: false }, outside);
  return [...into];
};

describe('a view along patient axes', () => {
  const size: Vector3 = [4, 3, 2];

  it('of an LPS volume in RAS turns the first two axes round', () => {
    const view = axisView({ size, affine: lps }, 'RAS');
    expect(view.size).toEqual([4, 3, 2]);
    expect(read(view, telling(size), [0, 0, 0], [2, 2, 2])).toEqual([23, 123, 13, 113, 22, 122, 12, 112]);
    expect(toVolumeIndex(view, [0, 0.5, 1])).toEqual([3, 1.5, 1]);
  });

  it('as [z, y, x] is the order of the voxels themselves', () => {
    const view = axisView({ size, affine: lps }, 'SPL');
    expect(view.size).toEqual([2, 3, 4]);
    expect(read(view, telling(size), [0, 0, 0], [2, 3, 4])).toEqual([...telling(size)]);
  });

  it('follows a sagittal acquisition', () => {
    // Columns run to the back, rows to the feet, slices to the left.
    const view = axisView({ size, affine: [[0, 0, 1, 0], [1, 0, 0, 0], [0, -1, 0, 0]] }, 'LPS');
    expect(view.size).toEqual([2, 4, 3]);
    expect(toVolumeIndex(view, [1, 2, 0])).toEqual([2, 2, 1]);
  });

  it('gives each axis of an oblique volume a patient axis of its own, at the worst angle too', () => {
    const c = Math.SQRT1_2;
    const view = axisView({ size, affine: [[c, -c, 0, 0], [c, c, 0, 0], [0, 0, 1, 0]] }, 'LPS');
    expect(new Set(view.axes.map(({ of }) => of)).size).toBe(3);
  });

  it('at another spacing begins at the same voxel, interpolates, and carries the border on', () => {
    const line: Vector3 = [5, 1, 1];
    const view = axisView({ size: line, affine: [[2, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]] }, 'LPS', [1.5, 1, 1]);
    // (5 − 1) × 2 / 1.5 + 1 = 6.33 steps of 1.5 mm over voxels 2 mm apart.
    expect(view.size).toEqual([6, 1, 1]);
    const values = read(view, Int16Array.of(0, 100, 200, 300, 400), [0, 0, 0], [6, 1, 1]);
    expect(values.map((value) => Math.round(value))).toEqual([0, 75, 150, 225, 300, 375]);
    const beyond = axisView({ size: line, affine: [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]] }, 'LPS', [0.7, 1, 1]);
    expect(beyond.size).toEqual([7, 1, 1]);
    expect(read(beyond, Int16Array.of(0, 0, 0, 0, 70), [6, 0, 0], [1, 1, 1])).toEqual([70]);
  });

  it('is padded outside, before and behind', () => {
    const view = axisView({ size: [2, 1, 1], affine: lps }, 'LPS');
    expect(read(view, Int16Array.of(7, 8), [-1, 0, 0], [4, 1, 1])).toEqual([-1, 7, 8, -1]);
  });

  it('brings labels back to the voxels they came from', () => {
    const view = axisView({ size, affine: lps }, 'RSA');
    const labels = Uint8Array.from(read(view, telling(size), [0, 0, 0], view.size));
    expect([...labelsOnGrid(view, labels)]).toEqual([...telling(size)]);
  });

  it('brings labels of a coarser grid to the nearest voxels', () => {
    const view = axisView({ size: [5, 1, 1], affine: lps }, 'RAS', [2, 1, 1]);
    expect(view.size).toEqual([3, 1, 1]);
    expect([...labelsOnGrid(view, Uint8Array.of(1, 2, 3))]).toEqual([3, 3, 2, 2, 1]);
  });
});

it('rounds halves to even, as numpy and PyTorch do', () => {
  expect([0.5, 1.5, 2.5, -0.5, -1.5, 2.4, 2.6].map((value) => roundHalfEven(value) + 0)).toEqual([0, 2, 2, 0, -2, 2, 3]);
});
