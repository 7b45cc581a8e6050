import type { Volume } from '../volume/volume.js';

/** How Hounsfield units become what a network takes. */
export interface Intensity {
  clipHu: readonly [number, number];
  offset: number;
  scale: number;
}

/** What is added to a 16-bit number to count from 0. */
const LOWEST = 32_768;

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
  const table = new Int32Array(Float32Array.from({ length: 2 ** 16 }, (_, i) => scaled(i - LOWEST)).buffer);
  let target: { into: Float32Array; bits: Int32Array } | undefined;
  return {
    outside: scaled(low),
    apply(voxels, from, into, at, count) {
      if (!(voxels instanceof Int16Array)) {
        for (let i = 0; i < count; i++) into[at + i] = scaled(voxels[from + i] ?? low);
        return;
      }
      if (target?.into !== into) target = { into, bits: new Int32Array(into.buffer, into.byteOffset, into.length) };
      lookUp(voxels, from, target.bits, at, count, table);
    },
  };
}

/** Moves the bits of 32-bit numbers, four at a time: without conversions and with fewer steps it takes half the time. */
function lookUp(voxels: Int16Array, from: number, into: Int32Array, at: number, count: number, table: Int32Array): void {
  const one = (i: number): number => table[(voxels[from + i] ?? 0) + LOWEST] ?? 0;
  let i = 0;
  for (; i + 3 < count; i += 4) {
    const [a, b, c, d] = [one(i), one(i + 1), one(i + 2), one(i + 3)];
    into[at + i] = a;
    into[at + i + 1] = b;
    into[at + i + 2] = c;
    into[at + i + 3] = d;
  }
  for (; i < count; i++) into[at + i] = one(i);
}
