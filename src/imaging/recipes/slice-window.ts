import type { Volume } from '../volume/volume.js';
import type { IntensityScale } from './intensity.js';

/** Where one inference lies in the plane: the image's column and row at the tile's first pixel, negative where it is padded. */
export interface Tile {
  column: number;
  row: number;
}

export interface TilePlan {
  rows: number;
  columns: number;
  tiles: Tile[];
}

/**
 * How a network covers a plane: once where it takes the plane's size, with a border where it takes a larger one,
 * in overlapping tiles where it takes a smaller one.
 *
 * @param shape  rows and columns of the network; a name where it is free
 * @param multipleOf  what a free side must be a multiple of
 */
export function tilePlan([columns, rows]: readonly [number, number], shape: readonly [number | string, number | string], multipleOf: number): TilePlan {
  const side = (length: number, taken: number | string): number => (typeof taken === 'number' ? taken : Math.ceil(length / multipleOf) * multipleOf);
  const [tileRows, tileColumns] = [side(rows, shape[0]), side(columns, shape[1])];
  const tiles = startsOf(rows, tileRows).flatMap((row) => startsOf(columns, tileColumns).map((column) => ({ column, row })));
  return { rows: tileRows, columns: tileColumns, tiles };
}

/** An eighth of a tile, at least, is seen twice. */
function startsOf(length: number, tile: number): number[] {
  if (tile >= length) return [0 - Math.floor((tile - length) / 2)];
  const steps = Math.ceil((length - tile) / (tile - Math.ceil(tile / 8)));
  return Array.from({ length: steps + 1 }, (_, step) => Math.round((step * (length - tile)) / steps));
}

/**
 * Feeds a 2.5-D network: slices become floating-point numbers when a window first needs them, and no more of them are kept than it shows.
 *
 * @param depth  adjacent slices of a window; those beyond the ends are the first or last one again
 * @returns what fills `[depth, rows, columns]` of a tile with the window around a slice; beyond the image lies the lower end of the range
 */
export function sliceWindows({ voxels, size: [columns, rows, slices] }: Volume, depth: number, intensity: IntensityScale, plan: TilePlan): (slice: number, tile: Tile, into: Float32Array) => void {
  const plane = columns * rows;
  const kept = Array.from({ length: depth }, () => ({ slice: -1, values: new Float32Array(plane) }));
  const half = (depth - 1) / 2;
  const whole = plan.rows === rows && plan.columns === columns;

  const planeOf = (slice: number): Float32Array => {
    const place = kept[slice % depth] ?? { slice: -1, values: new Float32Array(plane) };
    if (place.slice !== slice) {
      intensity.apply(voxels, slice * plane, place.values, 0, plane);
      place.slice = slice;
    }
    return place.values;
  };

  return (slice, { column, row }, into) => {
    if (!whole) into.fill(intensity.outside);
    const [fromRow, toRow] = [Math.max(0, row), Math.min(rows, row + plan.rows)];
    const [fromColumn, toColumn] = [Math.max(0, column), Math.min(columns, column + plan.columns)];
    for (let d = 0; d < depth; d++) {
      const source = planeOf(Math.min(Math.max(slice - half + d, 0), slices - 1));
      const start = d * plan.rows * plan.columns;
      if (whole) {
        into.set(source, start);
        continue;
      }
      for (let j = fromRow; j < toRow; j++) into.set(source.subarray(j * columns + fromColumn, j * columns + toColumn), start + (j - row) * plan.columns + fromColumn - column);
    }
  };
}
