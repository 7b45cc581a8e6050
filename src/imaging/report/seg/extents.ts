import type { Vector3 } from '../../volume/volume.js';

const VALUES = 256;

/** What a label map holds of one value. Indices of the grid. */
export interface Extent {
  voxels: number;
  low: [number, number, number];
  high: [number, number, number];
}

export interface Extents {
  /** By value; undefined for those that no voxel has. */
  values: (Extent | undefined)[];
  /** Rows of a slice that hold one of the values, first and last; undefined for none. */
  rowsOf: (slice: number, values: readonly number[]) => readonly [first: number, last: number] | undefined;
}

/** Where the values of a label map `[z, y, x]` lie, in one pass. */
export function extentsOf(labels: Uint8Array, [columns, rows, slices]: Vector3): Extents {
  const values: (Extent | undefined)[] = Array.from({ length: VALUES });
  const first = new Int32Array(slices * VALUES).fill(-1);
  const last = new Int32Array(slices * VALUES).fill(-1);
  const run = (value: number, from: number, to: number, j: number, k: number): void => {
    const extent = (values[value] ??= { voxels: 0, low: [columns, rows, slices], high: [-1, -1, -1] });
    const { low, high } = extent;
    extent.voxels += to - from;
    if (from < low[0]) low[0] = from;
    if (to - 1 > high[0]) high[0] = to - 1;
    if (j < low[1]) low[1] = j;
    if (j > high[1]) high[1] = j;
    if (k < low[2]) low[2] = k;
    high[2] = k;
    const at = k * VALUES + value;
    if (first[at] === -1) first[at] = j;
    last[at] = j;
  };
  const words = labels.byteOffset % 4 === 0 ? new Uint32Array(labels.buffer, labels.byteOffset, labels.length >> 2) : new Uint32Array(0);
  for (let k = 0, row = 0; k < slices; k++) {
    for (let j = 0; j < rows; j++, row += columns) {
      let [open, from] = [0, 0];
      for (let i = 0; i < columns; i++) {
        // Four voxels that go on as before are one step.
        if (((row + i) & 3) === 0 && i + 4 <= columns && words[(row + i) >>> 2] === Math.imul(open, 0x01010101) >>> 0) {
          i += 3;
          continue;
        }
        const value = labels[row + i] ?? 0;
        if (value === open) continue;
        if (open !== 0) run(open, from, i, j, k);
        [open, from] = [value, i];
      }
      if (open !== 0) run(open, from, columns, j, k);
    }
  }
  const rowsOf: Extents['rowsOf'] = (slice, wanted) => {
    let [top, bottom] = [rows, -1];
    for (const value of wanted) {
      const at = slice * VALUES + value;
      if ((first[at] ?? -1) === -1) continue;
      top = Math.min(top, first[at] ?? 0);
      bottom = Math.max(bottom, last[at] ?? 0);
    }
    return bottom === -1 ? undefined : [top, bottom];
  };
  return { values, rowsOf };
}

/** Of several values together. */
export function unionOf({ values }: Extents, wanted: readonly number[]): Extent | undefined {
  const found = wanted.map((value) => values[value]).filter((extent) => extent !== undefined);
  if (found.length === 0) return undefined;
  const bound = (of: (...numbers: number[]) => number, end: 'low' | 'high'): [number, number, number] => [
    of(...found.map((extent) => extent[end][0])), of(...found.map((extent) => extent[end][1])), of(...found.map((extent) => extent[end][2])),
  ];
  return { voxels: found.reduce((sum, { voxels }) => sum + voxels, 0), low: bound(Math.min, 'low'), high: bound(Math.max, 'high') };
}
