import { weights } from '../render/resize.js';

/** An image `[channel, row, column]`. */
export interface Planes<Data extends Float32Array | Float64Array = Float64Array> {
  channels: 1 | 3;
  height: number;
  width: number;
  /** Doubles on the way: quantised networks magnify the last bit of a single, so it is rounded once, at the end. */
  data: Data;
}

/** A rectangle in pixels of the whole image. */
export interface Crop {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** ITU-R BT.601, as PIL's and OpenCV's conversion to grey. */
const LUMA = [0.299, 0.587, 0.114] as const;

/** 8-bit pixels `[row, column, channel]` as planes: grey is repeated, colour is kept or mixed to grey. */
export function toPlanes(image: { width: number; height: number; channels: 1 | 3; data: Uint8Array }, channels: 1 | 3): Planes {
  const { width, height } = image;
  const count = width * height;
  const data = new Float64Array(channels * count);
  // Indices are in range throughout.
  for (let c = 0; c < channels; c++) {
    for (let i = 0; i < count; i++) {
      if (image.channels === 1) data[c * count + i] = image.data[i] as number;
      else if (channels === 3) data[c * count + i] = image.data[i * 3 + c] as number;
      else data[i] = LUMA[0] * (image.data[i * 3] as number) + LUMA[1] * (image.data[i * 3 + 1] as number) + LUMA[2] * (image.data[i * 3 + 2] as number);
    }
  }
  return { channels, height, width, data };
}

/** The largest square in the middle; of an odd remainder the larger half lies right and below. */
export function centreSquare(width: number, height: number): Crop {
  const side = Math.min(width, height);
  return { x: Math.floor((width - side) / 2), y: Math.floor((height - side) / 2), width: side, height: side };
}

export function crop(planes: Planes, area: Crop): Planes {
  if (area.width === planes.width && area.height === planes.height) return planes;
  const data = new Float64Array(planes.channels * area.width * area.height);
  for (let c = 0; c < planes.channels; c++) {
    for (let y = 0; y < area.height; y++) {
      const from = (c * planes.height + area.y + y) * planes.width + area.x;
      data.set(planes.data.subarray(from, from + area.width), (c * area.height + y) * area.width);
    }
  }
  return { channels: planes.channels, width: area.width, height: area.height, data };
}

/**
 * `area` averages exactly what a target pixel covers where an axis shrinks, and is bilinear where it grows; `bilinear` has
 * half-pixel centres and no antialiasing, as PyTorch with align_corners=False. The same size comes back unchanged.
 */
export function resize(planes: Planes, width: number, height: number, interpolation: 'area' | 'bilinear'): Planes {
  if (width === planes.width && height === planes.height) return planes;
  const columns = weights(planes.width, width, interpolation);
  const rows = weights(planes.height, height, interpolation);
  const { channels } = planes;
  const narrowed = new Float64Array(channels * planes.height * width);
  // Indices are in range throughout.
  for (let line = 0; line < channels * planes.height; line++) {
    for (const [x, taps] of columns.entries()) {
      let sum = 0;
      for (let k = 0; k < taps.weights.length; k++) sum += (taps.weights[k] as number) * (planes.data[line * planes.width + taps.first + k] as number);
      narrowed[line * width + x] = sum;
    }
  }
  const data = new Float64Array(channels * height * width);
  for (let c = 0; c < channels; c++) {
    for (const [y, taps] of rows.entries()) {
      for (let x = 0; x < width; x++) {
        let sum = 0;
        for (let k = 0; k < taps.weights.length; k++) sum += (taps.weights[k] as number) * (narrowed[(c * planes.height + taps.first + k) * width + x] as number);
        data[(c * height + y) * width + x] = sum;
      }
    }
  }
  return { channels, width, height, data };
}

/** (value / scale − mean) / std per channel, as the network takes it. */
export function normalise(planes: Planes, scale: number, mean: readonly number[], std: readonly number[]): Planes<Float32Array> {
  const data = new Float32Array(planes.data.length);
  const count = planes.width * planes.height;
  for (let i = 0; i < data.length; i++) {
    const c = Math.floor(i / count);
    // The manifest has one number for each channel; indices are in range.
    data[i] = ((planes.data[i] as number) / scale - (mean[c] as number)) / (std[c] as number);
  }
  return { ...planes, data };
}
