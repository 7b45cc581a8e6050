import type { PixelArray } from './samples.js';

export function isYbr(photometric: string): boolean {
  return photometric.startsWith('YBR_');
}

/**
 * YCbCr to RGB, in place, colour by pixel.
 *
 * @param partial  CCIR 601 reduced range (YBR_PARTIAL_422) instead of the full one
 * @see PS3.3 C.7.6.3.1.2
 */
export function ybrToRgb(pixels: PixelArray, bits: number, partial = false): PixelArray {
  const max = 2 ** bits - 1;
  const half = 2 ** (bits - 1);
  const black = partial ? 2 ** (bits - 4) : 0;
  const gain = partial ? 255 / 219 : 1;
  const chroma = partial ? 255 / 224 : 1;
  const clamp = (value: number): number => (value <= 0 ? 0 : value >= max ? max : Math.round(value));
  for (let i = 0; i + 2 < pixels.length; i += 3) {
    const y = ((pixels[i] ?? 0) - black) * gain;
    const cb = ((pixels[i + 1] ?? 0) - half) * chroma;
    const cr = ((pixels[i + 2] ?? 0) - half) * chroma;
    pixels[i] = clamp(y + 1.402 * cr);
    pixels[i + 1] = clamp(y - 0.344136 * cb - 0.714136 * cr);
    pixels[i + 2] = clamp(y + 1.772 * cb);
  }
  return pixels;
}

/** Y1 Y2 Cb Cr for two pixels to Y Cb Cr for each. @see PS3.3 C.7.6.3.1.2, YBR_FULL_422 */
export function upsampled422(bytes: Uint8Array, pixelCount: number): Uint8Array {
  const out = new Uint8Array(pixelCount * 3);
  for (let pixel = 0; pixel < pixelCount; pixel++) {
    const group = (pixel >> 1) * 4;
    const to = pixel * 3;
    out[to] = bytes[group + (pixel & 1)] ?? 0;
    out[to + 1] = bytes[group + 2] ?? 0;
    out[to + 2] = bytes[group + 3] ?? 0;
  }
  return out;
}
