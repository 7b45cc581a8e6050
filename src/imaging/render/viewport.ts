import { resize } from './resize.js';
import type { DisplayImage } from './window.js';

/** What a screen shows of an image, in pixels. @see PS3.18 §8.3.5.1.3 */
export interface Viewport {
  width: number;
  height: number;
  /** Of the image; the whole without it. */
  region?: Region;
  flipHorizontally?: boolean;
  flipVertically?: boolean;
}

export interface Region {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** The region, as large as the viewport allows without distortion; it may grow. */
export function applyViewport(image: DisplayImage, { width, height, region, flipHorizontally = false, flipVertically = false }: Viewport): DisplayImage {
  const cropped = region === undefined ? image : crop(image, region);
  const scale = Math.min(width / cropped.width, height / cropped.height);
  const scaled = resize(cropped, Math.max(1, Math.round(cropped.width * scale)), Math.max(1, Math.round(cropped.height * scale)));
  return flipHorizontally || flipVertically ? flip(scaled, flipHorizontally, flipVertically) : scaled;
}

/** Whole pixels, at least one, inside of the image. */
function crop(image: DisplayImage, region: Region): DisplayImage {
  const x = Math.min(Math.max(0, Math.round(region.x)), image.width - 1);
  const y = Math.min(Math.max(0, Math.round(region.y)), image.height - 1);
  const width = Math.min(Math.max(1, Math.round(region.width)), image.width - x);
  const height = Math.min(Math.max(1, Math.round(region.height)), image.height - y);
  const { channels } = image;
  const data = new Uint8Array(width * height * channels);
  for (let row = 0; row < height; row++) {
    const from = ((y + row) * image.width + x) * channels;
    data.set(image.data.subarray(from, from + width * channels), row * width * channels);
  }
  return { width, height, channels, data };
}

function flip({ width, height, channels, data }: DisplayImage, horizontally: boolean, vertically: boolean): DisplayImage {
  const out = new Uint8Array(data.length);
  for (let y = 0; y < height; y++) {
    const fromRow = vertically ? height - 1 - y : y;
    for (let x = 0; x < width; x++) {
      const from = (fromRow * width + (horizontally ? width - 1 - x : x)) * channels;
      const to = (y * width + x) * channels;
      for (let c = 0; c < channels; c++) out[to + c] = data[from + c] ?? 0;
    }
  }
  return { width, height, channels, data: out };
}
