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

/** Windows that follow each other share all slices but one: they are parts of one strip, which holds so many windows' slices before it begins anew. */
const STRIP_WINDOWS = 4;

interface Strip {
  values: Float32Array;
  /** The slice of the first plane, and how many planes there are; below 0 and above the last slice they repeat the end. */
  first: number;
  count: number;
}

/**
 * Feeds a 2.5-D network: slices become floating-point numbers when a window first needs them, and no more than a few windows' worth of them are kept.
 *
 * @param depth  adjacent slices of a window; those beyond the ends are the first or last one again
 * @returns what gives `[depth, rows, columns]` of a tile with the window around a slice, to be read before the next is asked for; beyond the image lies the lower end of the range
 */
export function sliceWindows({ voxels, size: [columns, rows, slices] }: Volume, depth: number, intensity: IntensityScale, plan: TilePlan): (slice: number, tile: Tile) => Float32Array {
  const area = plan.rows * plan.columns;
  const half = (depth - 1) / 2;
  const whole = plan.rows === rows && plan.columns === columns;
  const length = depth * (plan.tiles.length > 1 ? 2 : STRIP_WINDOWS);
  const strips = new Map<Tile, Strip>();

  const begin = (tile: Tile): Strip => {
    const strip = { values: new Float32Array(length * area), first: 0, count: 0 };
    if (!whole) strip.values.fill(intensity.outside);
    strips.set(tile, strip);
    return strip;
  };
  const write = (slice: number, { column, row }: Tile, into: Float32Array, at: number): void => {
    const from = Math.min(Math.max(slice, 0), slices - 1) * columns * rows;
    if (whole) {
      intensity.apply(voxels, from, into, at, area);
      return;
    }
    const [fromRow, toRow] = [Math.max(0, row), Math.min(rows, row + plan.rows)];
    const [fromColumn, toColumn] = [Math.max(0, column), Math.min(columns, column + plan.columns)];
    for (let j = fromRow; j < toRow; j++) intensity.apply(voxels, from + j * columns + fromColumn, into, at + (j - row) * plan.columns + fromColumn - column, toColumn - fromColumn);
  };

  return (slice, tile) => {
    const strip = strips.get(tile) ?? begin(tile);
    const wanted = slice - half;
    if (wanted < strip.first || wanted > strip.first + strip.count) [strip.first, strip.count] = [wanted, 0];
    if (wanted + depth > strip.first + length) {
      strip.values.copyWithin(0, (wanted - strip.first) * area, strip.count * area);
      [strip.first, strip.count] = [wanted, strip.count - (wanted - strip.first)];
    }
    for (; strip.first + strip.count < wanted + depth; strip.count++) write(strip.first + strip.count, tile, strip.values, strip.count * area);
    return strip.values.subarray((wanted - strip.first) * area, (wanted - strip.first + depth) * area);
  };
}
