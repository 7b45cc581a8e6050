import { uniformStream } from '../phantom/random.js';

type Point = readonly [x: number, y: number, z: number];

export interface Candidate {
  /** LPS millimetres. */
  centre: Point;
  score: number;
}

export interface Lesion {
  /** LPS millimetres. */
  centre: Point;
  diameterMm: number;
  /** false: too small, or not agreed upon. To find it is neither right nor wrong. */
  counts: boolean;
}

export interface ScannedCase {
  candidates: readonly Candidate[];
  lesions: readonly Lesion[];
}

export interface FrocPoint {
  falsePositivesPerScan: number;
  sensitivity: number;
  /** Candidates with this score or a higher one. */
  threshold: number;
}

export interface FrocFigures {
  scans: number;
  lesions: number;
  curve: FrocPoint[];
  /** Sensitivity at each of `FALSE_POSITIVE_RATES`, with the 2.5th and 97.5th percentile of scans drawn with replacement. */
  at: { falsePositivesPerScan: number; sensitivity: number; low: number; high: number }[];
  /** Mean of these sensitivities: the score of LUNA16. */
  mean: { value: number; low: number; high: number };
}

/** @see Setio et al., LUNA16, Medical Image Analysis 42 (2017) */
export const FALSE_POSITIVE_RATES = [1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8] as const;
const REPETITIONS = 1_000;

/** What a scan has: a score for each lesion that counts and was hit, scores of the false positives, and how many lesions count. */
interface Tally {
  hits: number[];
  alarms: number[];
  lesions: number;
}

/**
 * Free-response ROC as LUNA16 defines it: a candidate within the radius of a lesion hits it; further ones there are passed over; one that hits nothing is a false positive.
 *
 * @returns null without a lesion that counts
 */
export function froc(cases: readonly ScannedCase[], seed = 1): FrocFigures | null {
  const tallies = cases.map(tallyOf);
  const lesions = tallies.reduce((sum, tally) => sum + tally.lesions, 0);
  if (lesions === 0) return null;
  const own = sensitivities(tallies);
  const uniform = uniformStream(seed);
  const drawn: (readonly number[])[] = [];
  for (let i = 0; i < REPETITIONS; i++) {
    const sample = tallies.map(() => tallies[Math.floor(uniform() * tallies.length)]).filter((tally) => tally !== undefined);
    if (sample.some((tally) => tally.lesions > 0)) drawn.push(sensitivities(sample));
  }
  const interval = (valueOf: (of: readonly number[]) => number): { value: number; low: number; high: number } => {
    const values = drawn.map(valueOf).sort((a, b) => a - b);
    return { value: valueOf(own), low: values[Math.floor(values.length * 0.025)] ?? 0, high: values[Math.ceil(values.length * 0.975) - 1] ?? 1 };
  };
  return {
    scans: cases.length, lesions, curve: curveOf(tallies),
    at: FALSE_POSITIVE_RATES.map((rate, i) => {
      const { value, low, high } = interval((of) => of[i] ?? 0);
      return { falsePositivesPerScan: rate, sensitivity: value, low, high };
    }),
    mean: interval((of) => of.reduce((sum, value) => sum + value, 0) / of.length),
  };
}

function tallyOf({ candidates, lesions }: ScannedCase): Tally {
  const best = new Map<Lesion, number>();
  const alarms: number[] = [];
  for (const { centre, score } of candidates) {
    const hit = lesions.filter((lesion) => isHit({ centre }, lesion));
    if (hit.length === 0) alarms.push(score);
    for (const lesion of hit) best.set(lesion, Math.max(best.get(lesion) ?? -Infinity, score));
  }
  return { hits: [...best].filter(([lesion]) => lesion.counts).map(([, score]) => score), alarms, lesions: lesions.filter(({ counts }) => counts).length };
}

/** From no candidate to all of them, a point for each score. */
function curveOf(tallies: readonly Tally[]): FrocPoint[] {
  const lesions = tallies.reduce((sum, tally) => sum + tally.lesions, 0);
  const marks = tallies.flatMap(({ hits, alarms }) => [...hits.map((score) => ({ score, isHit: true })), ...alarms.map((score) => ({ score, isHit: false }))]).sort((a, b) => b.score - a.score);
  const points: FrocPoint[] = [{ falsePositivesPerScan: 0, sensitivity: 0, threshold: Infinity }];
  let hits = 0;
  let alarms = 0;
  for (const [index, { score, isHit }] of marks.entries()) {
    if (isHit) hits++;
    else alarms++;
    if (marks[index + 1]?.score !== score) points.push({ falsePositivesPerScan: alarms / tallies.length, sensitivity: hits / lesions, threshold: score });
  }
  return points;
}

/** The best that is reached with no more false positives than each rate allows. */
function sensitivities(tallies: readonly Tally[]): number[] {
  const curve = curveOf(tallies);
  return FALSE_POSITIVE_RATES.map((rate) => curve.findLast(({ falsePositivesPerScan }) => falsePositivesPerScan <= rate)?.sensitivity ?? 0);
}

/** Whether a candidate lies within a lesion's radius. */
export function isHit(candidate: Pick<Candidate, 'centre'>, lesion: Lesion): boolean {
  return apartMm(candidate, lesion) <= lesion.diameterMm / 2;
}

export function apartMm({ centre: a }: Pick<Candidate, 'centre'>, { centre: b }: Pick<Lesion, 'centre'>): number {
  return Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
}
