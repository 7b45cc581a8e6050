import { describe, expect, it } from 'vitest';
import { readNifti } from './nifti.js';

interface Wanted {
  size?: readonly [number, number, number];
  datatype?: number;
  little?: boolean;
  scale?: readonly [slope: number, intercept: number];
  sRows?: readonly (readonly number[])[];
  quaternion?: readonly [b: number, c: number, d: number];
  values: readonly number[];
}

const BYTES: Readonly<Record<number, number>> = { 2: 1, 4: 2, 16: 4, 512: 2 };

/** @see https://nifti.nimh.nih.gov/pub/dist/src/niftilib/nifti1.h */
function nifti({ size = [2, 2, 1], datatype = 4, little = true, scale = [0, 0], sRows, quaternion, values }: Wanted): Uint8Array {
  const bytes = BYTES[datatype] ?? 4;
  const view = new DataView(new ArrayBuffer(352 + values.length * bytes));
  view.setInt32(0, 348, little);
  for (const [axis, n] of [3, ...size].entries()) view.setInt16(40 + 2 * axis, n, little);
  view.setInt16(70, datatype, little);
  for (const [axis, mm] of [1, 1, 2, 3].entries()) view.setFloat32(76 + 4 * axis, mm, little);
  view.setFloat32(108, 352, little);
  view.setFloat32(112, scale[0], little);
  view.setFloat32(116, scale[1], little);
  view.setInt16(254, sRows ? 1 : 0, little);
  for (const [i, value] of (quaternion ?? [0, 0, 0]).entries()) view.setFloat32(256 + 4 * i, value, little);
  for (const [i, value] of [10, 20, 30].entries()) view.setFloat32(268 + 4 * i, value, little);
  for (const [row, numbers] of (sRows ?? []).entries()) for (const [i, value] of numbers.entries()) view.setFloat32(280 + 16 * row + 4 * i, value, little);
  for (const [i, value] of values.entries()) {
    const at = 352 + i * bytes;
    if (datatype === 2) view.setUint8(at, value);
    else if (datatype === 16) view.setFloat32(at, value, little);
    else view.setInt16(at, value, little);
  }
  return new Uint8Array(view.buffer);
}

describe('a NIfTI file', () => {
  it.each([true, false])('is read in LPS: right and anterior turn round (little-endian: %s)', (little) => {
    const { size, affine, voxels } = readNifti(nifti({ little, values: [1, -2, 3, 4], sRows: [[1, 0, 0, 5], [0, 2, 0, 6], [0, 0, 3, 7]] }));
    expect(size).toEqual([2, 2, 1]);
    expect(affine.map((row) => row.map((value) => value + 0))).toEqual([[-1, 0, 0, -5], [0, -2, 0, -6], [0, 0, 3, 7]]);
    expect(voxels).toEqual(Int16Array.of(1, -2, 3, 4));
  });

  it('is placed by its quaternion where it has no matrix', () => {
    // Half a turn about z: x and y run the other way.
    const { affine } = readNifti(nifti({ values: [0, 0, 0, 0], quaternion: [0, 0, 1] }));
    expect(affine.map((row) => row.map((value) => value + 0))).toEqual([[1, 0, 0, -10], [0, 2, 0, -20], [0, 0, 3, 30]]);
  });

  it('is scaled, and of fractions where its values are', () => {
    expect(readNifti(nifti({ datatype: 2, scale: [2, -1], values: [0, 1, 2, 255] })).voxels).toEqual(Int16Array.of(-1, 1, 3, 509));
    expect(readNifti(nifti({ datatype: 16, values: [0.5, 1, 2, 3] })).voxels).toEqual(Float32Array.of(0.5, 1, 2, 3));
  });

  it.each<[string, Uint8Array, string]>([
    ['nothing', new Uint8Array(), 'no NIfTI-1 file'], ['another file', new Uint8Array(400), 'no NIfTI-1 file'],
    ['one that is cut off', nifti({ values: [1, 2, 3, 4] }).slice(0, 356), 'shorter than its header says'], ['one without slices', nifti({ size: [2, 2, 0], values: [1, 2, 3, 4] }), 'no three dimensions'],
    ['a datatype of its own', nifti({ datatype: 32, values: [1, 2, 3, 4] }), 'datatype 32'],
  ])('is refused where it is %s', (_, bytes, words) => {
    expect(() => readNifti(bytes)).toThrow(words);
  });
});
