import { BINS, PADDING } from './bins.js';
import { affineToIndex, type Level } from './level.js';
import type { LinearMap } from './transform.js';
import type { FixedSamples } from './samples.js';

export interface Similarity {
  /** In nats; the greater, the better the images explain each other. */
  mutualInformation: number;
  /** Derivatives by the rows of [linear | translation] of the map: 12 numbers. */
  gradient: Float64Array;
  /** Share of the samples that fall inside the moving image. */
  overlap: number;
}

/**
 * Mutual information of the sampled fixed image and the moving image under a map, with its derivative: joint histogram with a box
 * window for the fixed and a cubic B-spline window for the moving intensities.
 *
 * @see Mattes et al., PET-CT image registration in the chest using free-form deformations, IEEE TMI 22 (2003), eq. 16–25
 */
export function mutualInformation(samples: FixedSamples, moving: Level, map: LinearMap): Similarity {
  const { offsets, bins, count } = samples;
  const { voxels, size: [columns, rows, slices] } = moving;
  const { matrix: b, shift, back } = affineToIndex(moving, map);
  const [b0 = 0, b1 = 0, b2 = 0, b3 = 0, b4 = 0, b5 = 0, b6 = 0, b7 = 0, b8 = 0] = b;
  const [s0, s1, s2] = shift;
  const { low, high } = moving.range;
  const perValue = (BINS - 1 - 2 * PADDING) / (high - low);
  const joint = new Float64Array(BINS * BINS);
  // Of each sample inside: its index, the moving value in bins (negative: held at an end), the derivative of that by the index.
  const inside = new Int32Array(count);
  const values = new Float32Array(count);
  const slopes = new Float32Array(3 * count);
  const plane = columns * rows;
  let n = 0;
  for (let s = 0; s < count; s++) {
    const x = offsets[3 * s] ?? 0;
    const y = offsets[3 * s + 1] ?? 0;
    const z = offsets[3 * s + 2] ?? 0;
    const i = b0 * x + b1 * y + b2 * z + s0;
    const j = b3 * x + b4 * y + b5 * z + s1;
    const k = b6 * x + b7 * y + b8 * z + s2;
    if (i < 0 || j < 0 || k < 0 || i >= columns - 1 || j >= rows - 1 || k >= slices - 1) continue;
    const i0 = i | 0;
    const j0 = j | 0;
    const k0 = k | 0;
    const u = i - i0;
    const v = j - j0;
    const w = k - k0;
    const at = i0 + columns * j0 + plane * k0;
    const v000 = voxels[at] ?? 0;
    const v100 = voxels[at + 1] ?? 0;
    const v010 = voxels[at + columns] ?? 0;
    const v110 = voxels[at + columns + 1] ?? 0;
    const v001 = voxels[at + plane] ?? 0;
    const v101 = voxels[at + plane + 1] ?? 0;
    const v011 = voxels[at + plane + columns] ?? 0;
    const v111 = voxels[at + plane + columns + 1] ?? 0;
    const x00 = v000 + u * (v100 - v000);
    const x10 = v010 + u * (v110 - v010);
    const x01 = v001 + u * (v101 - v001);
    const x11 = v011 + u * (v111 - v011);
    const xy0 = x00 + v * (x10 - x00);
    const xy1 = x01 + v * (x11 - x01);
    const value = xy0 + w * (xy1 - xy0);
    const held = value <= low || value >= high;
    const bin = PADDING + (held ? (value <= low ? 0 : BINS - 1 - 2 * PADDING) : (value - low) * perValue);
    inside[n] = s;
    values[n] = held ? -bin : bin;
    if (!held) {
      slopes[3 * n] = perValue * ((1 - w) * ((1 - v) * (v100 - v000) + v * (v110 - v010)) + w * ((1 - v) * (v101 - v001) + v * (v111 - v011)));
      slopes[3 * n + 1] = perValue * ((1 - w) * (x10 - x00) + w * (x11 - x01));
      slopes[3 * n + 2] = perValue * (xy1 - xy0);
    }
    n++;
    const first = (bin | 0) - 1;
    const t = bin - (bin | 0);
    const row = (bins[s] ?? 0) * BINS + first;
    const r = 1 - t;
    joint[row] = (joint[row] ?? 0) + (r * r * r) / 6;
    joint[row + 1] = (joint[row + 1] ?? 0) + (4 - 6 * t * t + 3 * t * t * t) / 6;
    joint[row + 2] = (joint[row + 2] ?? 0) + (4 - 6 * r * r + 3 * r * r * r) / 6;
    joint[row + 3] = (joint[row + 3] ?? 0) + (t * t * t) / 6;
  }
  const gradient = new Float64Array(12);
  if (n === 0) return { mutualInformation: 0, gradient, overlap: 0 };
  const { information, ratios } = informationOf(joint, n);
  // d MI = Σ dp(f, m) log(p(f, m) / p(m)), Mattes eq. 24: the derivative of the window stands for dp.
  const byIndex = new Float64Array(12);
  for (let e = 0; e < n; e++) {
    const bin = values[e] ?? 0;
    if (bin <= 0) continue;
    const s = inside[e] ?? 0;
    const t = bin - (bin | 0);
    const r = 1 - t;
    const row = (bins[s] ?? 0) * BINS + (bin | 0) - 1;
    const pull = -0.5 * r * r * (ratios[row] ?? 0) + (1.5 * t * t - 2 * t) * (ratios[row + 1] ?? 0) - (1.5 * r * r - 2 * r) * (ratios[row + 2] ?? 0) + 0.5 * t * t * (ratios[row + 3] ?? 0);
    const x = offsets[3 * s] ?? 0;
    const y = offsets[3 * s + 1] ?? 0;
    const z = offsets[3 * s + 2] ?? 0;
    for (let axis = 0; axis < 3; axis++) {
      const g = pull * (slopes[3 * e + axis] ?? 0);
      const to = 4 * axis;
      byIndex[to] = (byIndex[to] ?? 0) + g * x;
      byIndex[to + 1] = (byIndex[to + 1] ?? 0) + g * y;
      byIndex[to + 2] = (byIndex[to + 2] ?? 0) + g * z;
      byIndex[to + 3] = (byIndex[to + 3] ?? 0) + g;
    }
  }
  for (let row = 0; row < 3; row++) {
    for (let column = 0; column < 4; column++) {
      let sum = 0;
      for (let axis = 0; axis < 3; axis++) sum += (back[3 * axis + row] ?? 0) * (byIndex[4 * axis + column] ?? 0);
      gradient[4 * row + column] = sum / n;
    }
  }
  return { mutualInformation: information, gradient, overlap: n / count };
}

/** Mutual information of a joint histogram of `n` entries, and log(p(f, m) / p(m)) of each cell. */
function informationOf(joint: Float64Array, n: number): { information: number; ratios: Float64Array } {
  const fixed = new Float64Array(BINS);
  const moving = new Float64Array(BINS);
  for (let f = 0; f < BINS; f++) {
    for (let m = 0; m < BINS; m++) {
      const p = (joint[f * BINS + m] ?? 0) / n;
      fixed[f] = (fixed[f] ?? 0) + p;
      moving[m] = (moving[m] ?? 0) + p;
    }
  }
  const ratios = new Float64Array(BINS * BINS);
  let information = 0;
  for (let f = 0; f < BINS; f++) {
    for (let m = 0; m < BINS; m++) {
      const p = (joint[f * BINS + m] ?? 0) / n;
      if (p <= 1e-16) continue;
      const ratio = Math.log(p / (moving[m] ?? 1));
      ratios[f * BINS + m] = ratio;
      information += p * (ratio - Math.log(fixed[f] ?? 1));
    }
  }
  return { information, ratios };
}
