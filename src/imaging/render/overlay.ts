import { weights } from './resize.js';
import type { DisplayImage } from './window.js';

/** A small map of signed evidence, `[row, column]`: above 0 speaks for the finding, below 0 against it. */
export interface HeatMap {
  data: Float32Array;
  width: number;
  height: number;
}

export interface OverlayOptions {
  /** The value that gets the full colour, so that several images share one scale; by default the largest of the map. */
  max?: number;
  /** Opacity of the full colour, 0–1. */
  opacity?: number;
  /** Show evidence against the finding too, in blue. */
  signed?: boolean;
}

export interface OverlayImage extends DisplayImage {
  channels: 3;
  /** For the legend: what the ends of the colour scale stand for, in the map's units. */
  scale: { min: number; max: number };
}

/** ColorBrewer's YlOrRd without its dark end: the strongest evidence is red, which stands out on black and on white. */
const WARM = [
  [255, 237, 160], [254, 217, 118], [254, 178, 76], [253, 141, 60], [252, 78, 42], [227, 26, 28],
] as const;
const COLD = [
  [8, 29, 70], [10, 62, 122], [24, 98, 163], [54, 135, 192], [103, 169, 207], [158, 202, 225], [208, 232, 242],
] as const;

/**
 * Lays a heat map over an image. The map is resized bilinearly to the image; where it is weak the image shows through,
 * so that the anatomy stays readable. A map without positive values leaves the image as it is.
 */
export function overlayHeatMap(image: DisplayImage, map: HeatMap, options: OverlayOptions = {}): OverlayImage {
  const { width, height } = image;
  const { min, max } = scaleOf(map, options);
  const opacity = options.opacity ?? 0.55;
  const horizontal = weights(map.width, width);
  const vertical = weights(map.height, height);
  const data = new Uint8Array(width * height * 3);
  for (const [y, rowTaps] of vertical.entries()) {
    for (const [x, columnTaps] of horizontal.entries()) {
      let value = 0;
      for (let j = 0; j < rowTaps.weights.length; j++) {
        for (let i = 0; i < columnTaps.weights.length; i++) {
          value += (rowTaps.weights[j] ?? 0) * (columnTaps.weights[i] ?? 0) * finite(map.data[(rowTaps.first + j) * map.width + columnTaps.first + i] ?? 0);
        }
      }
      const strength = value >= 0 ? (max > 0 ? Math.min(value / max, 1) : 0) : min < 0 ? Math.min(value / min, 1) : 0;
      const colour = colourAt(value >= 0 ? WARM : COLD, strength);
      const alpha = opacity * Math.min(1, strength * 1.5);
      const pixel = y * width + x;
      for (let c = 0; c < 3; c++) {
        const base = image.data[image.channels === 3 ? pixel * 3 + c : pixel] ?? 0;
        data[pixel * 3 + c] = Math.round(base + (colour[c as 0 | 1 | 2] - base) * alpha);
      }
    }
  }
  return { width, height, channels: 3, data, scale: { min, max } };
}

function scaleOf(map: HeatMap, { max: wanted, signed = false }: OverlayOptions): { min: number; max: number } {
  let largest = 0;
  let smallest = 0;
  for (const value of map.data) {
    if (value > largest && Number.isFinite(value)) largest = value;
    if (value < smallest && Number.isFinite(value)) smallest = value;
  }
  const max = wanted ?? (signed ? Math.max(largest, -smallest) : largest);
  return { min: signed ? -max : 0, max };
}

function colourAt(map: typeof WARM | typeof COLD, strength: number): [number, number, number] {
  const position = strength * (map.length - 1);
  const index = Math.min(Math.floor(position), map.length - 2);
  const part = position - index;
  const [a, b] = [map[index] ?? map[0], map[index + 1] ?? map[0]];
  return [a[0] + (b[0] - a[0]) * part, a[1] + (b[1] - a[1]) * part, a[2] + (b[2] - a[2]) * part];
}

function finite(value: number): number {
  return Number.isFinite(value) ? value : 0;
}
