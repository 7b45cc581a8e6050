import type { Volume } from '../volume/volume.js';

/** How Hounsfield units become what a network takes. */
export interface Intensity {
  clipHu: readonly [number, number];
  offset: number;
  scale: number;
}

/** Clips and scales voxels. */
export interface IntensityScale {
  /** What lies beyond an image: the lower end of the range. */
  outside: number;
  /** Takes `count` voxels from an offset on to a place of `into`. */
  apply: (voxels: Volume['voxels'], from: number, into: Float32Array, at: number, count: number) => void;
}

/** Most voxels of a scan go through here, some many times: whole numbers are looked up, which takes a fraction of clipping and dividing. */
export function intensityScale({ clipHu: [low, high], offset, scale }: Intensity): IntensityScale {
  const scaled = (hu: number): number => ((hu < low ? low : hu > high ? high : hu) - offset) / scale;
  const [first, last] = [Math.max(-32_768, Math.floor(low)), Math.min(32_767, Math.ceil(high))];
  const table = Float32Array.from({ length: Math.max(1, last - first + 1) }, (_, i) => scaled(first + i));
  return {
    outside: scaled(low),
    apply(voxels, from, into, at, count) {
      if (voxels instanceof Int16Array) lookUp(voxels, from, into, at, count, table, first, last);
      else for (let i = 0; i < count; i++) into[at + i] = scaled(voxels[from + i] ?? low);
    },
  };
}

function lookUp(voxels: Int16Array, from: number, into: Float32Array, at: number, count: number, table: Float32Array, first: number, last: number): void {
  for (let i = 0; i < count; i++) {
    const value = voxels[from + i] ?? first;
    into[at + i] = table[(value < first ? first : value > last ? last : value) - first] ?? 0;
  }
}
