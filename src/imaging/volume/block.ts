import { indexToLps } from './geometry.js';
import type { Affine, Vector3, Vector4, Volume } from './volume.js';

/** A block of voxels: its first column, row, slice and how many there are of each. */
export interface Block {
  start: Vector3;
  size: Vector3;
}

/** The block between two inclusive corners, grown by `margin` voxels and kept inside a volume of `size`. */
export function grownBlock([low, high]: readonly [Vector3, Vector3], margin: number, size: Vector3): Block {
  const start = axes((axis) => Math.max(0, low[axis] - margin));
  return { start, size: axes((axis) => Math.min(size[axis], high[axis] + margin + 1) - start[axis]) };
}

/** Copies a block of a volume of `size` into `out` and returns that. */
export function cutOut<A extends Float32Array | Uint8Array>(voxels: Float32Array | Int16Array | Uint8Array, size: Vector3, { start, size: cut }: Block, out: A): A {
  for (let k = 0; k < cut[2]; k++) {
    for (let j = 0; j < cut[1]; j++) {
      const from = start[0] + size[0] * (start[1] + j + size[1] * (start[2] + k));
      out.set(voxels.subarray(from, from + cut[0]), cut[0] * (j + cut[1] * k));
    }
  }
  return out;
}

/** A block of a volume as a volume, where it lies in the patient. */
export function cutVolume({ size, affine, voxels, frameOfReferenceUid }: Volume, block: Block): Volume<Float32Array> {
  const corner = indexToLps(affine, block.start);
  const row = (at: 0 | 1 | 2): Vector4 => [affine[at][0], affine[at][1], affine[at][2], corner[at]];
  const moved: Affine = [row(0), row(1), row(2)];
  return { size: block.size, affine: moved, voxels: cutOut(voxels, size, block, new Float32Array(voxelsOf(block.size))), ...(frameOfReferenceUid !== undefined && { frameOfReferenceUid }) };
}

/** Writes a block back into a volume of `size`. */
export function putBack(out: Uint8Array, size: Vector3, { start, size: cut }: Block, block: Uint8Array): void {
  for (let k = 0; k < cut[2]; k++) {
    for (let j = 0; j < cut[1]; j++) {
      const from = cut[0] * (j + cut[1] * k);
      out.set(block.subarray(from, from + cut[0]), start[0] + size[0] * (start[1] + j + size[1] * (start[2] + k)));
    }
  }
}

export function voxelsOf([columns, rows, slices]: Vector3): number {
  return columns * rows * slices;
}

function axes(of: (axis: 0 | 1 | 2) => number): Vector3 {
  return [of(0), of(1), of(2)];
}
