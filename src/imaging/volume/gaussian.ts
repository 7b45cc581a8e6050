import type { Vector3 } from './volume.js';

/** Kernels end where the bell has fallen below a thousandth. */
const REACH_IN_SIGMAS = 3.5;

/**
 * Separable Gaussian smoothing; edges repeat.
 *
 * @param voxels  `[z, y, x]`, left as they are
 * @param sigmas  standard deviations along columns, rows and slices in voxels; an axis below 0.2 is left alone
 */
export function gaussianSmooth(voxels: ArrayLike<number>, size: Vector3, sigmas: Vector3): Float32Array {
  let current = Float32Array.from(voxels);
  const strides: Vector3 = [1, size[0], size[0] * size[1]];
  for (const axis of [0, 1, 2] as const) {
    if (sigmas[axis] < 0.2 || size[axis] === 1) continue;
    current = alongAxis(current, size[axis], strides[axis], kernelOf(sigmas[axis]));
  }
  return current;
}

function kernelOf(sigma: number): Float64Array {
  const reach = Math.max(1, Math.ceil(sigma * REACH_IN_SIGMAS));
  const kernel = Float64Array.from({ length: 2 * reach + 1 }, (_, i) => Math.exp(-0.5 * ((i - reach) / sigma) ** 2));
  const sum = kernel.reduce((a, b) => a + b, 0);
  return kernel.map((weight) => weight / sum);
}

function alongAxis(source: Float32Array, length: number, stride: number, kernel: Float64Array): Float32Array<ArrayBuffer> {
  const out = new Float32Array(source.length);
  const reach = (kernel.length - 1) / 2;
  const line = new Float64Array(length + 2 * reach);
  const block = stride * length;
  for (let start = 0; start < source.length; start += block) {
    for (let lane = 0; lane < stride; lane++) {
      const base = start + lane;
      for (let i = 0; i < line.length; i++) line[i] = source[base + stride * Math.min(length - 1, Math.max(0, i - reach))] ?? 0;
      for (let i = 0; i < length; i++) {
        let sum = 0;
        for (let k = 0; k < kernel.length; k++) sum += (kernel[k] ?? 0) * (line[i + k] ?? 0);
        out[base + i * stride] = sum;
      }
    }
  }
  return out;
}
