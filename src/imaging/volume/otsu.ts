const BINS = 256;

/**
 * The intensity that best parts background from foreground, of finite voxels within the middle 99.8 %.
 *
 * @see Otsu, A threshold selection method from gray-level histograms, IEEE Trans. SMC 9 (1979)
 */
export function otsuThreshold(voxels: ArrayLike<number>): number {
  const step = Math.max(1, Math.floor(voxels.length / 200_000));
  const sample = new Float32Array(Math.ceil(voxels.length / step));
  for (let i = 0; i < sample.length; i++) sample[i] = voxels[i * step] ?? 0;
  sample.sort();
  const low = sample[Math.floor(0.001 * (sample.length - 1))] ?? 0;
  const high = sample[Math.ceil(0.999 * (sample.length - 1))] ?? 0;
  if (!(high > low)) return low;
  const histogram = new Float64Array(BINS);
  for (const value of sample) {
    const bin = Math.min(BINS - 1, Math.max(0, Math.floor(((value - low) / (high - low)) * BINS)));
    histogram[bin] = (histogram[bin] ?? 0) + 1;
  }
  const total = histogram.reduce((sum, count, bin) => sum + count * bin, 0);
  let [below, belowSum, best, bestBin] = [0, 0, -1, 0];
  for (const [bin, count] of histogram.entries()) {
    below += count;
    belowSum += count * bin;
    const above = sample.length - below;
    if (below === 0 || above === 0) continue;
    const between = below * above * (belowSum / below - (total - belowSum) / above) ** 2;
    if (between > best) [best, bestBin] = [between, bin];
  }
  return low + ((bestBin + 1) / BINS) * (high - low);
}
