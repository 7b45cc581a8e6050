import { offsetsOf, type Connectivity } from './neighbours.js';
import type { Vector3 } from './volume.js';

/** A connected part of a mask. Coordinates are indices (column, row, slice). */
export interface Component {
  /** Its value in `labels`, from 1 in the order of the first voxel. */
  label: number;
  voxels: number;
  /** Smallest and largest index, both inside. */
  box: [Vector3, Vector3];
}

export interface Components {
  /** 0 outside, else the component's label; `[z, y, x]`. */
  labels: Uint32Array;
  components: Component[];
}

/**
 * Connected components of a mask (anything but 0 is inside).
 *
 * @param size  columns, rows, slices
 */
export function components(mask: ArrayLike<number>, size: Vector3, connectivity: Connectivity = 6): Components {
  const [columns, rows, slices] = size;
  const labels = new Uint32Array(columns * rows * slices);
  const steps = stepsOf(connectivity, size);
  const found: Component[] = [];
  for (let start = 0; start < labels.length; start++) {
    if (!mask[start] || labels[start] !== 0) continue;
    const label = found.length + 1;
    found.push({ label, ...flood(mask, size, start, steps, labels, label) });
  }
  return { labels, components: found };
}

/**
 * The connected part of a mask that holds a voxel; empty when the voxel is outside of the mask.
 *
 * @param start  offset of the voxel
 */
export function componentAt(mask: ArrayLike<number>, size: Vector3, connectivity: Connectivity, start: number): { mask: Uint8Array<ArrayBuffer>; box: [Vector3, Vector3] } {
  const out = new Uint8Array(mask.length);
  return { mask: out, box: mask[start] ? flood(mask, size, start, stepsOf(connectivity, size), out, 1).box : [[0, 0, 0], [-1, -1, -1]] };
}

/** The mask of the components that `keep` takes. */
export function keepComponents({ labels, components: all }: Components, keep: (component: Component) => boolean): Uint8Array {
  const kept = new Uint8Array(all.length + 1);
  for (const component of all) kept[component.label] = keep(component) ? 1 : 0;
  const out = new Uint8Array(labels.length);
  for (let offset = 0; offset < labels.length; offset++) out[offset] = kept[labels[offset] ?? 0] ?? 0;
  return out;
}

interface Steps {
  offsets: readonly Vector3[];
  /** The same in the array. */
  lengths: Int32Array;
  /** What is to be looked at yet; grows. */
  stack: Uint32Array<ArrayBuffer>;
}

function stepsOf(connectivity: Connectivity, [columns, rows]: Vector3): Steps {
  const offsets = offsetsOf(connectivity);
  return { offsets, lengths: Int32Array.from(offsets, ([i, j, k]) => i + columns * (j + rows * k)), stack: new Uint32Array(1 << 12) };
}

/** Writes `label` to every voxel of the mask that is connected with `start` and has 0 in `labels`. */
function flood(mask: ArrayLike<number>, size: Vector3, start: number, steps: Steps, labels: Uint8Array | Uint32Array, label: number): Omit<Component, 'label'> {
  const [columns, rows, slices] = size;
  const { offsets, lengths } = steps;
  let { stack } = steps;
  let [top, voxels] = [1, 0];
  let [minI, minJ, minK, maxI, maxJ, maxK] = [columns, rows, slices, -1, -1, -1];
  labels[start] = label;
  stack[0] = start;
  while (top > 0) {
    const offset = stack[--top] ?? 0;
    const i = offset % columns;
    const j = Math.floor(offset / columns) % rows;
    const k = Math.floor(offset / (columns * rows));
    voxels++;
    if (i < minI) minI = i;
    if (i > maxI) maxI = i;
    if (j < minJ) minJ = j;
    if (j > maxJ) maxJ = j;
    if (k < minK) minK = k;
    if (k > maxK) maxK = k;
    if (top + offsets.length > stack.length) steps.stack = stack = grown(stack);
    const within = i > 0 && j > 0 && k > 0 && i < columns - 1 && j < rows - 1 && k < slices - 1;
    for (let n = 0; n < lengths.length; n++) {
      if (!within && !inGrid(i, j, k, offsets[n], size)) continue;
      const next = offset + (lengths[n] ?? 0);
      if (!mask[next] || labels[next] !== 0) continue;
      labels[next] = label;
      stack[top++] = next;
    }
  }
  return { voxels, box: [[minI, minJ, minK], [maxI, maxJ, maxK]] };
}

function inGrid(i: number, j: number, k: number, [di, dj, dk]: Vector3 = [0, 0, 0], [columns, rows, slices]: Vector3): boolean {
  return i + di >= 0 && j + dj >= 0 && k + dk >= 0 && i + di < columns && j + dj < rows && k + dk < slices;
}

function grown(stack: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(stack.length * 2);
  larger.set(stack);
  return larger;
}
