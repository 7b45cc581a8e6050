import type { DisplayImage } from './window.js';

/**
 * Resizes to exactly `width` × `height`: area average where the image shrinks, bilinear where it grows, per axis.
 */
export function resize(image: DisplayImage, width: number, height: number): DisplayImage {
  if (width === image.width && height === image.height) return image;
  const { channels } = image;
  const horizontal = weights(image.width, width);
  const vertical = weights(image.height, height);
  const rows = new Float32Array(image.height * width * channels);
  for (let y = 0; y < image.height; y++) {
    for (const [x, taps] of horizontal.entries()) {
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (let k = 0; k < taps.weights.length; k++) sum += (taps.weights[k] ?? 0) * (image.data[(y * image.width + taps.first + k) * channels + c] ?? 0);
        rows[(y * width + x) * channels + c] = sum;
      }
    }
  }
  const data = new Uint8Array(width * height * channels);
  const stride = width * channels;
  for (const [y, taps] of vertical.entries()) {
    for (let i = 0; i < stride; i++) {
      let sum = 0;
      for (let k = 0; k < taps.weights.length; k++) sum += (taps.weights[k] ?? 0) * (rows[(taps.first + k) * stride + i] ?? 0);
      data[y * stride + i] = Math.round(sum);
    }
  }
  return { width, height, channels, data };
}

/** The largest size within the limits that keeps the proportions; never larger than the image. */
export function fitWithin(width: number, height: number, maxWidth = width, maxHeight = height): { width: number; height: number } {
  const scale = Math.min(1, maxWidth / width, maxHeight / height);
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

export interface Taps {
  first: number;
  weights: Float64Array;
}

/**
 * For each target position, the source positions that it blends; pixel centres at half integers.
 *
 * @param shrinking  `area` averages all that a target covers; `bilinear` blends two neighbours however small the target
 */
export function weights(from: number, to: number, shrinking: 'area' | 'bilinear' = 'area'): Taps[] {
  const ratio = from / to;
  return Array.from({ length: to }, (_, target) => (ratio > 1 && shrinking === 'area' ? areaTaps(target * ratio, (target + 1) * ratio, from) : linearTaps((target + 0.5) * ratio - 0.5, from)));
}

function areaTaps(start: number, end: number, size: number): Taps {
  const first = Math.floor(start);
  const last = Math.min(Math.ceil(end), size);
  const out = new Float64Array(last - first);
  for (let i = first; i < last; i++) out[i - first] = (Math.min(end, i + 1) - Math.max(start, i)) / (end - start);
  return { first, weights: out };
}

function linearTaps(position: number, size: number): Taps {
  const at = Math.min(Math.max(position, 0), size - 1);
  const first = Math.min(Math.floor(at), Math.max(size - 2, 0));
  const part = at - first;
  return { first, weights: size === 1 ? Float64Array.of(1) : Float64Array.of(1 - part, part) };
}
