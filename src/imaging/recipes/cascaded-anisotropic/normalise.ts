import type { Noise } from './noise.js';

/**
 * (v − mean) / standard deviation over the voxels above zero; voxels that are zero become noise, in place of a background that the networks
 * would otherwise learn from.
 * A channel whose values are all equal becomes zeros and noise. In place.
 */
export function normaliseChannel(voxels: Float32Array, noise: Noise): void {
  let count = 0;
  let sum = 0;
  let squares = 0;
  for (const value of voxels) {
    if (value <= 0) continue;
    count++;
    sum += value;
    squares += value * value;
  }
  const mean = count === 0 ? 0 : sum / count;
  const deviation = Math.sqrt(Math.max(0, squares / count - mean * mean)) || 1;
  for (let i = 0; i < voxels.length; i++) {
    if (voxels[i] !== 0) {
      voxels[i] = ((voxels[i] ?? 0) - mean) / deviation;
      continue;
    }
    let end = i + 1;
    while (end < voxels.length && voxels[end] === 0) end++;
    noise.fill(voxels, i, end);
    i = end - 1;
  }
}
