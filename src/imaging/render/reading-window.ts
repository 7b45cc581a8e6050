import type { Window } from './window.js';

/** As chest radiologists look at lungs; Hounsfield units. */
const LUNG: Window = { center: -600, width: 1500 };

const FIXED: Readonly<Record<string, Window>> = { 'lung-nodule-detection': LUNG };

const LOW_SHARE = 0.01;
const HIGH_SHARE = 0.995;
/** Enough for percentiles that nobody sees the difference of. */
const MOST_SAMPLES = 65_536;

/**
 * The window that the findings of an analysis are read in: a fixed one where the values have a scale, as Hounsfield units do, else what the
 * values themselves span, zero (the background of MR) and the outermost ones left aside.
 */
export function readingWindow(analysis: string, values: Float32Array): Window {
  return FIXED[analysis] ?? spanningWindow(values);
}

function spanningWindow(values: Float32Array): Window {
  const step = Math.max(1, Math.floor(values.length / MOST_SAMPLES));
  const samples = new Float32Array(Math.ceil(values.length / step));
  let count = 0;
  for (let at = 0; at < values.length; at += step) {
    const value = values[at] ?? 0;
    if (value !== 0 && Number.isFinite(value)) samples[count++] = value;
  }
  if (count === 0) return { center: 0, width: 1, shape: 'LINEAR_EXACT' };
  const sorted = samples.subarray(0, count).sort();
  const edge = (share: number): number => sorted[Math.min(count - 1, Math.floor(share * count))] ?? 0;
  const [low, high] = [edge(LOW_SHARE), edge(HIGH_SHARE)];
  return { center: (low + high) / 2, width: Math.max(high - low, 1e-6), shape: 'LINEAR_EXACT' };
}
