import type { Vector3 } from '../volume/volume.js';

/** A connected part of what a network marked. Coordinates are indices (column, row, slice). */
export interface Candidate {
  voxels: number;
  /** Centre of mass, weighted. */
  centre: Vector3;
  /** First and last index. */
  box: [Vector3, Vector3];
  /** 0 or 1, `[z, y, x]` in the box. */
  mask: () => Uint8Array;
}

/** Takes masks slice by slice, from the first slice on; `end` says that there are no more. */
export interface SliceSink {
  push(plane: Uint8Array): void;
  end(): void;
}

/**
 * Binary erosion of a volume that comes slice by slice, with the 6-neighbourhood; outside of the volume is background.
 * Gives every slice on as soon as the next one is there.
 */
export function erosion(columns: number, rows: number, next: SliceSink): SliceSink {
  const empty = new Uint8Array(columns * rows);
  let [below, here]: [Uint8Array, Uint8Array | undefined] = [empty, undefined];
  const give = (above: Uint8Array): void => {
    if (here) next.push(erodedPlane(below, here, above, columns, rows));
  };
  return {
    push(plane) {
      give(plane);
      below = here ?? empty;
      here = plane;
    },
    end() {
      give(empty);
      next.end();
    },
  };
}

function erodedPlane(below: Uint8Array, here: Uint8Array, above: Uint8Array, columns: number, rows: number): Uint8Array {
  const out = new Uint8Array(columns * rows);
  const words = wordsOf(here);
  for (let offset = nextSet(here, words, columns), end = (rows - 1) * columns; offset < end; offset = nextSet(here, words, offset)) {
    for (; offset < end && here[offset] !== 0; offset++) {
      const column = offset % columns;
      if (column === 0 || column === columns - 1) continue;
      out[offset] = (below[offset] ?? 0) & (above[offset] ?? 0) & (here[offset - 1] ?? 0) & (here[offset + 1] ?? 0) & (here[offset - columns] ?? 0) & (here[offset + columns] ?? 0);
    }
  }
  return out;
}

/** A plane four voxels at a time: most hold nothing. */
function wordsOf(plane: Uint8Array): Uint32Array {
  return plane.byteOffset % Uint32Array.BYTES_PER_ELEMENT === 0 ? new Uint32Array(plane.buffer, plane.byteOffset, plane.length >> 2) : wordsOf(plane.slice());
}

/** The first voxel from an offset on that is not 0; the plane's length when there is none. */
function nextSet(plane: Uint8Array, words: Uint32Array, from: number): number {
  let at = from;
  for (; (at & 3) !== 0 && at < plane.length; at++) if (plane[at] !== 0) return at;
  let word = at >> 2;
  while (word < words.length && words[word] === 0) word++;
  for (at = Math.max(at, word << 2); at < plane.length; at++) if (plane[at] !== 0) return at;
  return plane.length;
}

/** Columns `from` to `to` of one row that are inside; numbers of five to a run, so that millions of runs stay small. */
const [ROW, SLICE, FROM, TO, PARENT, FIELDS] = [0, 1, 2, 3, 4, 5];

/**
 * Connected components (6-neighbourhood) of a mask that comes slice by slice. Memory grows with what is inside of the mask, not with the volume.
 *
 * @param weight  of the voxel at an offset of the volume
 * @returns a sink, and what was found once it has ended, in the order of the first voxel
 */
export function componentsOfSlices(columns: number, rows: number, weight: (offset: number) => number): SliceSink & { candidates(): Candidate[] } {
  let runs = new Int32Array(FIELDS * 4096);
  let count = 0;
  let slice = 0;
  // The first run of every row, in this slice and the one before.
  let starts = new Int32Array(rows + 1);
  let before = new Int32Array(rows + 1);

  const get = (run: number, field: number): number => runs[run * FIELDS + field] ?? 0;
  const rootOf = (run: number): number => {
    let root = run;
    while (get(root, PARENT) !== root) {
      const grandparent = get(get(root, PARENT), PARENT);
      runs[root * FIELDS + PARENT] = grandparent;
      root = grandparent;
    }
    return root;
  };
  const unite = (a: number, b: number): void => {
    const [p, q] = [rootOf(a), rootOf(b)];
    if (p !== q) runs[Math.max(p, q) * FIELDS + PARENT] = Math.min(p, q);
  };
  /** Unites the runs of two rows where they overlap; both go from left to right. */
  const uniteRows = (a: number, aEnd: number, b: number, bEnd: number): void => {
    let [p, q] = [a, b];
    while (p < aEnd && q < bEnd) {
      if (get(p, FROM) <= get(q, TO) && get(q, FROM) <= get(p, TO)) unite(p, q);
      if (get(p, TO) < get(q, TO)) p++;
      else q++;
    }
  };
  const add = (j: number, from: number, to: number): void => {
    if ((count + 1) * FIELDS > runs.length) {
      const larger = new Int32Array(runs.length * 2);
      larger.set(runs);
      runs = larger;
    }
    runs.set([j, slice, from, to, count], count * FIELDS);
    count++;
  };

  return {
    push(plane) {
      [before, starts] = [starts, before];
      const words = wordsOf(plane);
      let next = nextSet(plane, words, 0);
      for (let j = 0; j < rows; j++) {
        starts[j] = count;
        const [offset, end] = [j * columns, (j + 1) * columns];
        while (next < end) {
          const from = next;
          while (next < end && plane[next] !== 0) next++;
          add(j, from - offset, next - 1 - offset);
          next = nextSet(plane, words, next);
        }
        const start = starts[j] ?? 0;
        if (j > 0) uniteRows(starts[j - 1] ?? 0, start, start, count);
        if (slice > 0) uniteRows(before[j] ?? 0, before[j + 1] ?? 0, start, count);
      }
      starts[rows] = count;
      slice++;
    },
    end: () => undefined,
    candidates() {
      const members = new Map<number, number[]>();
      for (let run = 0; run < count; run++) {
        const root = rootOf(run);
        const group = members.get(root);
        if (group) group.push(run);
        else members.set(root, [run]);
      }
      return [...members.values()].map((group) => candidateOf(group.map((run) => ({ row: get(run, ROW), slice: get(run, SLICE), from: get(run, FROM), to: get(run, TO) })), columns, rows, weight));
    },
  };
}

interface Run {
  row: number;
  slice: number;
  from: number;
  to: number;
}

function candidateOf(runs: readonly Run[], columns: number, rows: number, weight: (offset: number) => number): Candidate {
  let [voxels, mass, x, y, z] = [0, 0, 0, 0, 0];
  let [i0, j0, k0, i1, j1, k1] = [Infinity, Infinity, Infinity, -1, -1, -1];
  for (const { row, slice, from, to } of runs) {
    const start = columns * (row + rows * slice);
    let inRow = 0;
    for (let i = from; i <= to; i++) {
      const own = weight(start + i);
      inRow += own;
      x += own * i;
    }
    mass += inRow;
    y += inRow * row;
    z += inRow * slice;
    voxels += to - from + 1;
    [i0, j0, k0] = [Math.min(i0, from), Math.min(j0, row), Math.min(k0, slice)];
    [i1, j1, k1] = [Math.max(i1, to), Math.max(j1, row), Math.max(k1, slice)];
  }
  // Without any weight its box has a centre still.
  const centre: Vector3 = mass > 0 ? [x / mass, y / mass, z / mass] : [(i0 + i1) / 2, (j0 + j1) / 2, (k0 + k1) / 2];
  return {
    voxels, centre, box: [[i0, j0, k0], [i1, j1, k1]],
    mask: () => {
      const [width, height] = [i1 - i0 + 1, j1 - j0 + 1];
      const mask = new Uint8Array(width * height * (k1 - k0 + 1));
      for (const { row, slice, from, to } of runs) {
        const start = width * (row - j0 + height * (slice - k0)) - i0;
        mask.fill(1, start + from, start + to + 1);
      }
      return mask;
    },
  };
}
