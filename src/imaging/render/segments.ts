import type { DisplayImage } from './window.js';

/** Labels `[row, column]` of the frame that is shown. */
export interface SegmentPlane {
  width: number;
  height: number;
  labels: Uint8Array;
  /** Painted in this order, later ones over earlier ones. */
  segments: { name: string; values: readonly number[]; colour: Colour }[];
}

export type Colour = readonly [red: number, green: number, blue: number];

/** Told apart by people who do not see red or green as others do. @see Okabe and Ito 2008 */
export const SEGMENT_COLOURS: readonly Colour[] = [[240, 228, 66], [86, 180, 233], [213, 94, 0], [0, 158, 115], [204, 121, 167], [230, 159, 0]];

const FILL = 0.22;

/**
 * Draws what was segmented over an image of any size: lightly filled, with an outline that leaves the anatomy to be seen.
 *
 * @param fill  opacity between the outlines, 0–1
 * @param line  width of the outlines in pixels
 */
export function overlaySegments(image: DisplayImage, plane: SegmentPlane, { fill = FILL, line = 1 }: { fill?: number; line?: number } = {}): DisplayImage {
  const { width, height, channels } = image;
  const data = new Uint8Array(width * height * 3);
  for (let pixel = 0; pixel < width * height; pixel++) {
    for (let c = 0; c < 3; c++) data[pixel * 3 + c] = image.data[channels === 3 ? pixel * 3 + c : pixel] ?? 0;
  }
  const columns = Uint32Array.from({ length: width }, (_, x) => Math.min(plane.width - 1, Math.floor(((x + 0.5) * plane.width) / width)));
  const rows = Uint32Array.from({ length: height }, (_, y) => Math.min(plane.height - 1, Math.floor(((y + 0.5) * plane.height) / height)));
  for (const { values, colour } of plane.segments) {
    const inside = new Uint8Array(256);
    for (const value of values) inside[value] = 1;
    const isIn = (x: number, y: number): boolean => x >= 0 && y >= 0 && x < width && y < height && inside[plane.labels[(rows[y] ?? 0) * plane.width + (columns[x] ?? 0)] ?? 0] === 1;
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        if (!isIn(x, y)) continue;
        const isEdge = !isIn(x - line, y) || !isIn(x + line, y) || !isIn(x, y - line) || !isIn(x, y + line);
        const alpha = isEdge ? 1 : fill;
        if (alpha === 0) continue;
        const at = (y * width + x) * 3;
        for (let c = 0; c < 3; c++) data[at + c] = Math.round((data[at + c] ?? 0) * (1 - alpha) + (colour[c as 0 | 1 | 2]) * alpha);
      }
    }
  }
  return { width, height, channels: 3, data };
}
