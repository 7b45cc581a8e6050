import type { EvidenceMap } from './heat-map.js';
import type { Planes } from './planes.js';

/** Cells of the map each way, hence at most 64 runs. */
export const OCCLUSION_GRID = 8;
const BATCH = 16;

/**
 * What the image loses for each label when a grey patch hides a place. The patch is twice a cell, so neighbouring places overlap;
 * grey is the image's own mean, which tells the network least.
 *
 * @param input   `[channel, row, column]`, normalised
 * @param batched  false for networks that take one image at a time
 * @param score   evidence `[label]` of every image of a batch
 * @param baseline evidence of the untouched image, `[label]`
 * @returns a map for each label, on a grid of at most 8 × 8
 * @see Zeiler and Fergus 2014, section 4.2
 */
export async function occlusionMaps(
  input: Planes<Float32Array>,
  baseline: readonly number[],
  batched: boolean,
  score: (batch: Float32Array, count: number) => Promise<number[][]>,
  progress: (done: number) => void = () => undefined,
): Promise<EvidenceMap[]> {
  const columns = Math.min(OCCLUSION_GRID, input.width);
  const rows = Math.min(OCCLUSION_GRID, input.height);
  const maps = baseline.map(() => ({ width: columns, height: rows, data: new Float32Array(columns * rows) }));
  const grey = channelMeans(input);
  const size = batched ? BATCH : 1;
  for (let first = 0; first < columns * rows; first += size) {
    const count = Math.min(size, columns * rows - first);
    const batch = new Float32Array(count * input.data.length);
    for (let i = 0; i < count; i++) {
      const image = batch.subarray(i * input.data.length, (i + 1) * input.data.length);
      image.set(input.data);
      hide(image, input, grey, (first + i) % columns, Math.floor((first + i) / columns), columns, rows);
    }
    for (const [i, scores] of (await score(batch, count)).entries()) {
      for (const [label, map] of maps.entries()) map.data[first + i] = (baseline[label] ?? 0) - (scores[label] ?? 0);
    }
    progress((first + count) / (columns * rows));
  }
  return maps;
}

function channelMeans({ channels, width, height, data }: Planes<Float32Array>): number[] {
  const count = width * height;
  return Array.from({ length: channels }, (_, c) => data.subarray(c * count, (c + 1) * count).reduce((sum, value) => sum + value, 0) / count);
}

function hide(image: Float32Array, { channels, width, height }: Planes<Float32Array>, grey: readonly number[], column: number, row: number, columns: number, rows: number): void {
  const [cellWidth, cellHeight] = [width / columns, height / rows];
  const [left, right] = [Math.max(0, Math.round((column - 0.5) * cellWidth)), Math.min(width, Math.round((column + 1.5) * cellWidth))];
  const [top, bottom] = [Math.max(0, Math.round((row - 0.5) * cellHeight)), Math.min(height, Math.round((row + 1.5) * cellHeight))];
  for (let c = 0; c < channels; c++) {
    for (let y = top; y < bottom; y++) image.fill(grey[c] ?? 0, (c * height + y) * width + left, (c * height + y) * width + right);
  }
}
