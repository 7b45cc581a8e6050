import { apartMm, froc, isHit, type Candidate, type FrocFigures, type Lesion } from '../../imaging/evaluation/froc.js';
import type { Finding } from '../../imaging/report/finding.js';

/** What the product found in one scan, and what there is. */
export interface DetectedScan {
  studyInstanceUid: string;
  seriesInstanceUid: string;
  candidates: (Candidate & { diameterMm: number | null })[];
  lesions: Lesion[];
}

export function candidatesOf(findings: readonly Omit<Finding, 'id'>[]): DetectedScan['candidates'] {
  return findings.flatMap(({ location, score, measurements }) => (location?.center
    ? [{ centre: location.center, score, diameterMm: measurements.find(({ name }) => name === 'diameter')?.value ?? null }] : []));
}

export interface LesionFigures {
  seriesInstanceUid: string;
  centre: readonly [number, number, number];
  diameterMm: number;
  counts: boolean;
  /** Of the candidate with the highest score within its radius. */
  score: number | null;
  distanceMm: number | null;
}

export interface DetectionFigures {
  froc: FrocFigures | null;
  lesions: LesionFigures[];
  /** Of all candidates, whatever their score. */
  falsePositivesPerScan: number;
}

export function detectionFigures(scans: readonly DetectedScan[]): DetectionFigures {
  return {
    froc: froc(scans),
    lesions: scans.flatMap(({ seriesInstanceUid, candidates, lesions }) => lesions.map((lesion): LesionFigures => {
      const [best] = candidates.filter((candidate) => isHit(candidate, lesion)).sort((a, b) => b.score - a.score);
      return { seriesInstanceUid, ...lesion, score: best?.score ?? null, distanceMm: best ? apartMm(best, lesion) : null };
    })),
    falsePositivesPerScan: scans.reduce((sum, { candidates, lesions }) => sum + candidates.filter((candidate) => !lesions.some((lesion) => isHit(candidate, lesion))).length, 0) / scans.length,
  };
}
