import type { Vector3 } from '../../volume/volume.js';
import type { Noise } from './noise.js';

export type ViewName = 'axial' | 'sagittal' | 'coronal';
export const VIEW_NAMES: readonly ViewName[] = ['axial', 'sagittal', 'coronal'];

/** A volume read slice by slice from one side: sizes and strides of slice, row, column. */
export interface View {
  size: Vector3;
  stride: Vector3;
}

/** One position of the window. Input slices from `input` on may lie outside the volume; output slices `[from, to)` are taken from it. */
export interface Window {
  input: number;
  /** Slices of the volume that this window decides. */
  from: number;
  to: number;
  /** Which of the window's output slices is slice `from`. */
  skip: number;
}

/** Slices that go in, slices that come out of their middle, slices from one window to the next. */
export interface WindowSize {
  inputSlices: number;
  outputSlices: number;
  stride: number;
}

/**
 * How the original turns a [z, y, x] array: axial as it is, sagittal `transpose(2, 0, 1)`, coronal `transpose(1, 0, 2)`.
 *
 * @param size  columns, rows, slices of the volume
 */
export function viewOf([columns, rows, slices]: Vector3, name: ViewName): View {
  const plane = columns * rows;
  if (name === 'axial') return { size: [slices, rows, columns], stride: [plane, columns, 1] };
  if (name === 'sagittal') return { size: [columns, slices, rows], stride: [1, plane, columns] };
  return { size: [rows, slices, columns], stride: [columns, plane, 1] };
}

/**
 * Window positions over `slices`. The last one is moved inwards until its centre is half a window from the end, and where two overlap
 * the later one decides.
 */
export function windowsOver(slices: number, { inputSlices, outputSlices, stride }: WindowSize): Window[] {
  const half = Math.floor(outputSlices / 2);
  const windows: Window[] = [];
  for (let centre = half; centre < slices + half; centre += stride) {
    const at = Math.max(0, Math.min(centre, slices - half));
    const from = Math.max(0, at - half);
    const last = windows.at(-1);
    if (last) last.to = Math.min(last.to, from);
    windows.push({ input: at - Math.floor(inputSlices / 2), from, to: Math.min(slices, at - half + outputSlices), skip: from - (at - half) });
  }
  return windows;
}

/** Height and width that the network gets for a view: multiples, and never less than it was trained on. */
export function planeSize({ size: [, height, width] }: View, least: { height: number; width: number }, multiple: number): { height: number; width: number } {
  const grown = (side: number): number => Math.ceil(side / multiple) * multiple;
  return { height: Math.max(grown(height), least.height), width: Math.max(grown(width), least.width) };
}

/**
 * Writes one channel of one window, [slice, row, column], into `out` from `offset` on. The volume lies in the middle of the plane; what is
 * outside of it is noise.
 */
export function readWindow(out: Float32Array, offset: number, source: Float32Array, view: View, first: number, slices: number, plane: { height: number; width: number }, noise: Noise): void {
  const [depth, height, width] = view.size;
  const [sliceStride, rowStride, columnStride] = view.stride;
  const top = Math.floor(plane.height / 2) - Math.floor(height / 2);
  const left = Math.floor(plane.width / 2) - Math.floor(width / 2);
  const area = plane.height * plane.width;
  for (let s = 0; s < slices; s++) {
    const start = offset + s * area;
    const slice = first + s;
    if (slice < 0 || slice >= depth) {
      noise.fill(out, start, start + area);
      continue;
    }
    noise.fill(out, start, start + top * plane.width);
    noise.fill(out, start + (top + height) * plane.width, start + area);
    for (let y = 0; y < height; y++) {
      const row = start + (top + y) * plane.width;
      if (left > 0) noise.fill(out, row, row + left);
      if (left + width < plane.width) noise.fill(out, row + left + width, row + plane.width);
      let from = slice * sliceStride + y * rowStride;
      const to = row + left + width;
      if (columnStride === 1) {
        out.set(source.subarray(from, from + width), row + left);
        continue;
      }
      for (let i = row + left; i < to; i++) {
        out[i] = source[from] ?? 0;
        from += columnStride;
      }
    }
  }
}

/**
 * Adds what one window says to `sum` (same grid as the volume): the probability of the region less that of everything else, so that a
 * positive sum over the views is what `argmax` of their mean would choose.
 *
 * @param probabilities  [class, slice, row, column] of this window from `offset` on; class 0 is the background
 */
export function addWindow(sum: Float32Array, probabilities: Float32Array, offset: number, view: View, { from, to, skip }: Window, outputSlices: number, plane: { height: number; width: number }): void {
  const [, height, width] = view.size;
  const [sliceStride, rowStride, columnStride] = view.stride;
  const top = Math.floor(plane.height / 2) - Math.floor(height / 2);
  const left = Math.floor(plane.width / 2) - Math.floor(width / 2);
  const area = plane.height * plane.width;
  const classes = outputSlices * area;
  for (let slice = from; slice < to; slice++) {
    for (let y = 0; y < height; y++) {
      let read = offset + (skip + slice - from) * area + (top + y) * plane.width + left;
      let write = slice * sliceStride + y * rowStride;
      for (let x = 0; x < width; x++) {
        sum[write] = (sum[write] ?? 0) + (probabilities[read + classes] ?? 0) - (probabilities[read] ?? 0);
        read++;
        write += columnStride;
      }
    }
  }
}
