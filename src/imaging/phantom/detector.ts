/** How a flat-panel detector and its console make a picture of the line integrals. */
export interface Exposure {
  size: number;
  pitchMm: number;
  /** Photons a pixel in the open beam. */
  photons: number;
  /** Scattered over primary radiation behind the mean of the patient. */
  scatterToPrimary: number;
}

/**
 * Primary beam by Beer-Lambert, plus scatter, plus quantum noise, blurred by the scintillator, as the logarithmic signal.
 *
 * @param integral  ∫µ dl, row-major `[size, size]`
 * @returns the negative logarithm of the relative dose, row-major `[size, size]`
 */
export function expose(integral: Float32Array, exposure: Exposure, normal: () => number): Float32Array {
  const { size, pitchMm, photons, scatterToPrimary } = exposure;
  // Plain loops here and below: a callback per pixel costs more than the arithmetic.
  const count = size * size;
  const primary = new Float32Array(count);
  const behindPatient = new Float32Array(count);
  for (let index = 0; index < count; index++) {
    const value = integral[index] ?? 0;
    const share = Math.exp(-value);
    primary[index] = share;
    behindPatient[index] = value > 0.3 ? share : 0;
  }
  const scattered = blurWidely(behindPatient, size, 22 / pitchMm);
  const dose = new Float32Array(count);
  for (let index = 0; index < dose.length; index++) {
    const mean = photons * ((primary[index] ?? 0) + scatterToPrimary * (scattered[index] ?? 0) + 2e-4);
    // Poisson with this many photons is normal for our purpose.
    dose[index] = Math.max(1, mean + Math.sqrt(mean) * normal());
  }
  const seen = blur(dose, size, 0.13 / pitchMm);
  const open = Math.log(photons);
  for (let index = 0; index < count; index++) dose[index] = open - Math.log(seen[index] ?? 1);
  return dose;
}

/**
 * The console's processing: the broad greys are compressed and the detail kept, so that lung and mediastinum are both seen.
 *
 * @returns about 0 (open beam) to 3 (densest), row-major `[size, size]`
 */
export function harmonise(signal: Float32Array, size: number, pitchMm: number): Float32Array {
  const broad = blurWidely(signal, size, 12 / pitchMm);
  const fine = blur(signal, size, 0.5 / pitchMm);
  const picture = new Float32Array(size * size);
  for (let index = 0; index < picture.length; index++) {
    const base = broad[index] ?? 0;
    const middle = fine[index] ?? 0;
    picture[index] = 0.38 * base + 1.35 * (middle - base) + 1.25 * ((signal[index] ?? 0) - middle);
  }
  return picture;
}

/** Gaussian blur; sigma in pixels. Edges repeat. */
function blur(image: Float32Array, size: number, sigma: number): Float32Array {
  if (sigma < 0.3) return image;
  const reach = Math.ceil(3 * sigma);
  const kernel = Float64Array.from({ length: 2 * reach + 1 }, (_, tap) => Math.exp(-((tap - reach) ** 2) / (2 * sigma * sigma)));
  const total = kernel.reduce((sum, value) => sum + value, 0);
  for (let tap = 0; tap < kernel.length; tap++) kernel[tap] = (kernel[tap] ?? 0) / total;
  return convolve(convolve(image, size, kernel, 1, size), size, kernel, size, 1);
}

/** The same for a sigma of many pixels: on a coarser grid, scaled up bilinearly. */
function blurWidely(image: Float32Array, size: number, sigma: number): Float32Array {
  const factor = Math.max(1, Math.floor(sigma / 4));
  const small = Math.ceil(size / factor);
  const coarse = new Float32Array(small * small);
  for (let row = 0; row < small; row++) {
    for (let column = 0; column < small; column++) {
      let sum = 0;
      let count = 0;
      for (let y = row * factor; y < Math.min(size, (row + 1) * factor); y++) {
        for (let x = column * factor; x < Math.min(size, (column + 1) * factor); x++, count++) sum += image[y * size + x] ?? 0;
      }
      coarse[row * small + column] = sum / count;
    }
  }
  const smooth = blur(coarse, small, sigma / factor);
  const result = new Float32Array(size * size);
  for (let row = 0; row < size; row++) {
    const y = Math.min(small - 1, Math.max(0, (row + 0.5) / factor - 0.5));
    const top = Math.min(small - 2, Math.floor(y));
    for (let column = 0; column < size; column++) {
      const x = Math.min(small - 1, Math.max(0, (column + 0.5) / factor - 0.5));
      const left = Math.min(small - 2, Math.floor(x));
      const at = top * small + left;
      const upper = between(smooth[at] ?? 0, smooth[at + 1] ?? 0, x - left);
      const lower = between(smooth[at + small] ?? 0, smooth[at + small + 1] ?? 0, x - left);
      result[row * size + column] = between(upper, lower, y - top);
    }
  }
  return result;
}

/** Convolves along one direction: `step` from one sample of a line to the next, `stride` from one line to the next. */
function convolve(image: Float32Array, size: number, kernel: Float64Array, step: number, stride: number): Float32Array {
  const result = new Float32Array(image.length);
  const reach = (kernel.length - 1) / 2;
  const padded = new Float64Array(size + 2 * reach);
  for (let line = 0; line < size; line++) {
    const start = line * stride;
    for (let at = 0; at < padded.length; at++) padded[at] = image[start + Math.min(size - 1, Math.max(0, at - reach)) * step] ?? 0;
    for (let at = 0; at < size; at++) {
      let sum = 0;
      for (let tap = 0; tap < kernel.length; tap++) sum += (kernel[tap] ?? 0) * (padded[at + tap] ?? 0);
      result[start + at * step] = sum;
    }
  }
  return result;
}

function between(from: number, to: number, part: number): number {
  return from + (to - from) * part;
}
