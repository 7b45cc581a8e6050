import type { Crop } from './planes.js';

/** Signed evidence `[row, column]`: above 0 speaks for the label, below 0 against it. Covers a whole image. */
export interface EvidenceMap {
  width: number;
  height: number;
  data: Float32Array;
}

/** Cells of the whole image's grid to one cell of the model's, where a crop forces another grid. */
const REFINEMENT = 4;
const MAX_SIDE = 128;

/**
 * Brings a map that covers `crop` to the whole image: what the model did not see has no evidence. The map stays as it is when
 * the model saw everything.
 */
export function toWholeImage(map: EvidenceMap, crop: Crop, image: { width: number; height: number }): EvidenceMap {
  if (crop.width === image.width && crop.height === image.height) return map;
  const width = gridSide((image.width / crop.width) * map.width);
  const height = gridSide((image.height / crop.height) * map.height);
  const data = new Float32Array(width * height);
  for (let y = 0; y < height; y++) {
    const row = position((y + 0.5) * (image.height / height), crop.y, crop.height, map.height);
    if (row === undefined) continue;
    for (let x = 0; x < width; x++) {
      const column = position((x + 0.5) * (image.width / width), crop.x, crop.width, map.width);
      if (column !== undefined) data[y * width + x] = bilinear(map, column, row);
    }
  }
  return { width, height, data };
}

function gridSide(cells: number): number {
  return Math.min(MAX_SIDE, Math.max(1, Math.ceil(cells * REFINEMENT)));
}

/** A pixel coordinate as a coordinate of the map; undefined outside of the crop. */
function position(pixel: number, start: number, length: number, cells: number): number | undefined {
  const inside = (pixel - start) / length;
  return inside < 0 || inside > 1 ? undefined : inside * cells - 0.5;
}

function bilinear(map: EvidenceMap, x: number, y: number): number {
  const [left, dx] = neighbour(x, map.width);
  const [top, dy] = neighbour(y, map.height);
  const at = (column: number, row: number): number => map.data[Math.min(row, map.height - 1) * map.width + Math.min(column, map.width - 1)] ?? 0;
  return (at(left, top) * (1 - dx) + at(left + 1, top) * dx) * (1 - dy) + (at(left, top + 1) * (1 - dx) + at(left + 1, top + 1) * dx) * dy;
}

function neighbour(coordinate: number, size: number): [number, number] {
  const inside = Math.min(Math.max(coordinate, 0), size - 1);
  return [Math.floor(inside), inside - Math.floor(inside)];
}
