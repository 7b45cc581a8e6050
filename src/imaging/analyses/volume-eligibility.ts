import type { ModelDomain } from '../model/manifest.js';
import type { SeriesDescription } from '../volume/describe.js';
import { notAnalysable, type NotAnalysable } from './analysis.js';

/** Where a manifest names no limit. Slices; degrees. */
const DEFAULTS = { minSlices: 2, maxSlices: 2000, maxObliquityDegrees: 35, maxTiltDegrees: 5 };

/**
 * Why a series is not a volume that a model reads, or undefined when it is. Attributes only: nothing of the pixels is known yet.
 *
 * @returns `series-not-a-volume` (with the place where it breaks), `not-axial`, `too-few-slices`, `slice-too-thick`
 */
export function volumeFault(series: SeriesDescription, domain: ModelDomain): NotAnalysable | undefined {
  const { fault, frames, plane, obliquityDegrees, tiltDegrees, coverageMm } = series;
  const { minSlices = DEFAULTS.minSlices, maxSlices = DEFAULTS.maxSlices, maxObliquityDegrees = DEFAULTS.maxObliquityDegrees, maxTiltDegrees = DEFAULTS.maxTiltDegrees } = domain;
  const axialOnly = domain.plane !== 'any';
  if (axialOnly && plane !== undefined && plane !== 'axial') return notAnalysable('not-axial', `The slices are ${plane}; this model reads axial ones.`);
  if (axialOnly && obliquityDegrees > maxObliquityDegrees) return notAnalysable('not-axial', `The slices lean by ${degrees(obliquityDegrees)}; this model reads axial ones that lean by at most ${degrees(maxObliquityDegrees)}.`);
  if (fault !== undefined) return notAnalysable('series-not-a-volume', `${fault.detail}.`);
  if (frames.length > maxSlices) return notAnalysable('series-not-a-volume', `The series has ${String(frames.length)} slices; at most ${String(maxSlices)} are read.`);
  if (frames.length < minSlices || series.grid === undefined) return notAnalysable('too-few-slices', `The series has ${count(frames.length, 'slice')}; this model needs ${String(Math.max(minSlices, 2))}.`);
  if (tiltDegrees > maxTiltDegrees) return notAnalysable('series-not-a-volume', `The gantry was tilted by ${degrees(tiltDegrees)}; this model reads up to ${degrees(maxTiltDegrees)}.`);
  const thick = thicknessFault(series, domain);
  if (thick !== undefined) return thick;
  if (domain.minCoverageMm !== undefined && coverageMm < domain.minCoverageMm) {
    return notAnalysable('too-few-slices', `The slices cover ${mm(coverageMm)}; this model needs ${mm(domain.minCoverageMm)}.`);
  }
  return undefined;
}

function thicknessFault({ thicknessMm, spacingMm }: SeriesDescription, { sliceThicknessMm, sliceSpacingMm }: ModelDomain): NotAnalysable | undefined {
  // Slices that do not tell their thickness are taken to be as thick as they lie apart.
  const thickness = thicknessMm ?? spacingMm;
  // Written and measured values are rounded: a hundredth is not too thick.
  const above = (value: number | undefined, max: number | undefined): boolean => value !== undefined && max !== undefined && value > max + 0.01;
  if (above(thickness, sliceThicknessMm?.max)) return notAnalysable('slice-too-thick', `The slices are ${mm(thickness)} thick; this model reads slices of up to ${mm(sliceThicknessMm?.max)}.`);
  if (above(spacingMm, sliceSpacingMm?.max)) return notAnalysable('slice-too-thick', `The slices lie ${mm(spacingMm)} apart; this model reads slices that lie up to ${mm(sliceSpacingMm?.max)} apart.`);
  return undefined;
}

function mm(value: number | undefined): string {
  return `${String(Math.round((value ?? 0) * 100) / 100)} mm`;
}

function degrees(value: number): string {
  return `${String(Math.round(value * 10) / 10)}°`;
}

function count(n: number, noun: string): string {
  return `${String(n)} ${noun}${n === 1 ? '' : 's'}`;
}
