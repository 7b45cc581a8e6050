/** As the authors' program has them. */
const BINS = 200;
const LENGTH = 512;
const NOISE = 0.01;

/**
 * What the log intensities would be without the field: their histogram is freed of a Gaussian blur, and each value is moved to the
 * expectation of the sharp values that the blur may have made it of.
 *
 * @param values  log intensities
 * @param widthAtHalf  full width at half maximum of the blur, in log intensity
 * @see Sled et al. 1998, eq. 9–13; Tustison et al. 2010
 */
export function sharpen(values: Float64Array, widthAtHalf: number): Float64Array {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  const slope = (high - low) / (BINS - 1);
  if (!(slope > 0)) return values.slice();
  const offset = (LENGTH - BINS) / 2;
  const histogram = new Float64Array(LENGTH);
  for (const value of values) {
    const place = (value - low) / slope;
    const bin = Math.min(BINS - 2, Math.floor(place));
    histogram[offset + bin] = (histogram[offset + bin] ?? 0) + 1 - (place - bin);
    histogram[offset + bin + 1] = (histogram[offset + bin + 1] ?? 0) + place - bin;
  }
  const width = widthAtHalf / slope;
  const blur = Float64Array.from({ length: LENGTH }, (_, n) => (2 * Math.sqrt(Math.LN2 / Math.PI) * Math.exp((-4 * Math.LN2 * Math.min(n, LENGTH - n) ** 2) / width ** 2)) / width);
  const [blurRe, blurIm] = fourier(blur, new Float64Array(LENGTH), false);
  const [re, im] = fourier(histogram, new Float64Array(LENGTH), false);
  for (let n = 0; n < LENGTH; n++) {
    const [a, b, c, d] = [re[n] ?? 0, im[n] ?? 0, blurRe[n] ?? 0, blurIm[n] ?? 0];
    const power = c * c + d * d + NOISE;
    re[n] = (a * c + b * d) / power;
    im[n] = (b * c - a * d) / power;
  }
  const sharp = fourier(re, im, true)[0].map((value) => Math.max(0, value));
  const blurred = (signal: Float64Array): Float64Array => {
    const [x, y] = fourier(signal, new Float64Array(LENGTH), false);
    return fourier(x.map((a, n) => a * (blurRe[n] ?? 0) - (y[n] ?? 0) * (blurIm[n] ?? 0)), y.map((b, n) => (x[n] ?? 0) * (blurIm[n] ?? 0) + b * (blurRe[n] ?? 0)), true)[0];
  };
  const numerator = blurred(sharp.map((value, n) => value * (low + (n - offset) * slope)));
  const denominator = blurred(sharp);
  const expectation = numerator.map((value, n) => ((denominator[n] ?? 0) > 1e-12 ? value / (denominator[n] ?? 1) : 0)).slice(offset, offset + BINS);
  return values.map((value) => {
    const place = (value - low) / slope;
    const bin = Math.min(BINS - 2, Math.floor(place));
    const [here, next] = [expectation[bin] ?? 0, expectation[bin + 1] ?? 0];
    return here + (next - here) * (place - bin);
  });
}

/** Radix-2 discrete Fourier transform; the inverse is divided by the length. */
function fourier(real: Float64Array, imaginary: Float64Array, inverse: boolean): [Float64Array, Float64Array] {
  const n = real.length;
  const re = new Float64Array(n);
  const im = new Float64Array(n);
  const bits = Math.log2(n);
  for (let i = 0; i < n; i++) {
    let reversed = 0;
    for (let bit = 0; bit < bits; bit++) reversed |= ((i >> bit) & 1) << (bits - 1 - bit);
    re[reversed] = real[i] ?? 0;
    im[reversed] = imaginary[i] ?? 0;
  }
  for (let half = 1; half < n; half *= 2) {
    const angle = ((inverse ? 1 : -1) * Math.PI) / half;
    for (let start = 0; start < n; start += 2 * half) {
      for (let k = 0; k < half; k++) {
        const cos = Math.cos(angle * k);
        const sin = Math.sin(angle * k);
        const a = start + k;
        const b = a + half;
        const x = (re[b] ?? 0) * cos - (im[b] ?? 0) * sin;
        const y = (re[b] ?? 0) * sin + (im[b] ?? 0) * cos;
        re[b] = (re[a] ?? 0) - x;
        im[b] = (im[a] ?? 0) - y;
        re[a] = (re[a] ?? 0) + x;
        im[a] = (im[a] ?? 0) + y;
      }
    }
  }
  return inverse ? [re.map((value) => value / n), im.map((value) => value / n)] : [re, im];
}
