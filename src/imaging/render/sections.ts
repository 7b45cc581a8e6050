import { lpsToIndex, spacingOf } from '../volume/geometry.js';
import type { Grid, Vector3 } from '../volume/volume.js';

/** Three planes of a volume that meet in one voxel, cut to a box. */
export interface SectionPlan {
  /** Where they meet: column, row, slice. */
  at: Vector3;
  /** First and last voxel of the box, both inside of the grid and of the box. */
  from: Vector3;
  to: Vector3;
}

/** Values of the planes; number `a` lies across axis `a` of the grid. Row-major, the lower of the other two axes runs fastest. */
export type Planes<A> = readonly [A, A, A];

/** What is to be seen: LPS millimetres. */
export interface SectionTarget {
  center: Vector3;
  box?: readonly [Vector3, Vector3] | undefined;
  /** The slice that shows it best; that of the centre without it. */
  slice?: number | undefined;
}

/** What stands around a finding, so that a reader sees where it lies. */
const MIN_SIDE_MM = 60;
const CONTEXT = 2.6;

/** The planes through a target: with `crop` within a cube around it, else whole. The cube ends where the grid does. */
export function sectionPlan(grid: Grid, { center, box, slice }: SectionTarget, crop: boolean): SectionPlan {
  const middle = lpsToIndex(grid, center);
  const spacing = spacingOf(grid.affine);
  const sideMm = Math.max(MIN_SIDE_MM, CONTEXT * (box ? largestExtentMm(grid, box) : 0));
  const at = middle.map((value, axis) => within(axis === 2 && slice !== undefined ? slice : Math.round(value), grid.size[axis] ?? 1));
  const reach = spacing.map((mm) => Math.ceil(sideMm / 2 / mm));
  const from = at.map((value, axis) => (crop ? within(value - (reach[axis] ?? 0), grid.size[axis] ?? 1) : 0));
  const to = at.map((value, axis) => (crop ? within(value + (reach[axis] ?? 0), grid.size[axis] ?? 1) : (grid.size[axis] ?? 1) - 1));
  return { at: vector(at), from: vector(from), to: vector(to) };
}

/** The corners of a box in LPS as a box of fractional indices, half a voxel around the outermost centres included as it comes. */
export function indexBox(grid: Grid, [low, high]: readonly [Vector3, Vector3]): [Vector3, Vector3] {
  const corners = [low[0], high[0]].flatMap((x) => [low[1], high[1]].flatMap((y) => [low[2], high[2]].map((z) => lpsToIndex(grid, [x, y, z]))));
  const bound = (of: (...values: number[]) => number): Vector3 => [of(...corners.map(([i]) => i)), of(...corners.map(([, j]) => j)), of(...corners.map(([, , k]) => k))];
  return [bound(Math.min), bound(Math.max)];
}

/** Columns and rows of the plane across an axis. */
export function planeSize({ from, to }: Pick<SectionPlan, 'from' | 'to'>, across: 0 | 1 | 2): { width: number; height: number } {
  const [u, v] = axesOf(across);
  return { width: to[u] - from[u] + 1, height: to[v] - from[v] + 1 };
}

/** The two axes that a plane runs along; the first one runs fastest in its values. */
export function axesOf(across: 0 | 1 | 2): readonly [0 | 1 | 2, 0 | 1 | 2] {
  return across === 0 ? [1, 2] : across === 1 ? [0, 2] : [0, 1];
}

/** What the three planes take of one slice. */
export interface SliceParts<A> {
  slice: number;
  /** Along a row, for the plane across rows; along a column, for that across columns; the slice itself where it is the one. */
  row: A;
  column: A;
  whole: A | undefined;
}

type Values = Float32Array | Uint8Array;

/** Cuts the parts out of a slice `[row, column]` of the grid's size. */
export function partsOf<A extends Values>(values: A, columns: number, slice: number, { at, from, to }: SectionPlan): SliceParts<A> {
  const row = copied(values, at[1] * columns + from[0], at[1] * columns + to[0] + 1);
  const height = to[1] - from[1] + 1;
  const column = copied(values, 0, height);
  for (let j = 0; j < height; j++) column[j] = values[(from[1] + j) * columns + at[0]] ?? 0;
  if (slice !== at[2]) return { slice, row, column, whole: undefined };
  const width = to[0] - from[0] + 1;
  const whole = copied(values, 0, width * height);
  for (let j = 0; j < height; j++) whole.set(values.subarray((from[1] + j) * columns + from[0], (from[1] + j) * columns + to[0] + 1), j * width);
  return { slice, row, column, whole };
}

/** Of the same kind. `slice` of a Buffer, which is a Uint8Array too, would give a view. */
function copied<A extends Values>(values: A, start: number, end: number): A {
  return (values instanceof Float32Array ? values.slice(start, end) : new Uint8Array(values.subarray(start, end))) as A;
}

/** Puts the parts of a slice into the planes. */
export function placeParts<A extends Values>(planes: Planes<A>, { slice, row, column, whole }: SliceParts<A>, { from }: SectionPlan): void {
  const k = slice - from[2];
  planes[0].set(column, k * column.length);
  planes[1].set(row, k * row.length);
  if (whole) planes[2].set(whole);
}

function largestExtentMm(grid: Grid, box: readonly [Vector3, Vector3]): number {
  const [low, high] = indexBox(grid, box);
  const spacing = spacingOf(grid.affine);
  return Math.max(...spacing.map((mm, axis) => ((high[axis] ?? 0) - (low[axis] ?? 0)) * mm));
}

function within(value: number, size: number): number {
  return Math.min(Math.max(value, 0), size - 1);
}

function vector([x = 0, y = 0, z = 0]: readonly number[]): Vector3 {
  return [x, y, z];
}
