import type { Finding, Label, Segment } from './finding.js';

/** What one model concluded on a study. */
export interface Concluded {
  findings: readonly Finding[];
  labels: readonly Label[];
  segments: readonly Segment[];
}

/** Two models on one study. Differences are `second` less `first`. */
export interface ConcludedPair {
  first: Concluded;
  second: Concluded;
}

export interface LabelAgreement {
  label: string;
  /** Studies on which both models have the label. */
  pairs: number;
  bothPositive: number;
  onlyFirst: number;
  onlySecond: number;
  bothNegative: number;
  /** 2a / (2a + b + c) (Cicchetti and Feinstein 1990); null when neither model ever was positive. */
  positiveAgreement: number | null;
  negativeAgreement: number | null;
  /** Cohen 1960; null when chance alone would agree always. */
  kappa: number | null;
  meanProbabilityDifference: number;
  meanAbsoluteProbabilityDifference: number;
  /** Differences in twenty bins of 0.1 from −1 to 1. */
  differenceHistogram: number[];
}

export interface DetectionAgreement {
  kind: string;
  /** Studies on which either model found something of the kind. */
  studies: number;
  first: number;
  second: number;
  /** Found by both, with centres within the distance. */
  matched: number;
  onlyFirst: number;
  onlySecond: number;
  /** 2 × matched / (first + second). */
  agreement: number;
  withinMm: number;
  meanDistanceMm: number | null;
}

export interface VolumeAgreement {
  segment: string;
  /** Studies on which either model has the segment; a model without it says 0 ml. */
  pairs: number;
  meanFirstMl: number;
  meanSecondMl: number;
  meanDifferenceMl: number;
  meanAbsoluteDifferenceMl: number;
  /** Mean ± 1.96 standard deviations of the differences (Bland and Altman 1986); null for a single pair. */
  limitsOfAgreementMl: [number, number] | null;
}

export interface Agreement {
  pairs: number;
  labels: LabelAgreement[];
  detections: DetectionAgreement[];
  volumes: VolumeAgreement[];
}

/** Centres that are this near are taken for the same nodule. */
export const SAME_NODULE_MM = 5;
const BINS = 20;

/** How far two models agree on the same studies. */
export function agreementOf(pairs: readonly ConcludedPair[]): Agreement {
  return {
    pairs: pairs.length,
    labels: namesIn(pairs, ({ labels }) => labels.map(({ name }) => name)).flatMap((name) => labelAgreement(name, pairs)),
    detections: namesIn(pairs, ({ findings }) => findings.filter(isPlaced).map(({ kind }) => kind)).map((kind) => detectionAgreement(kind, pairs)),
    volumes: namesIn(pairs, ({ segments }) => segments.map(({ name }) => name)).map((name) => volumeAgreement(name, pairs)),
  };
}

function namesIn(pairs: readonly ConcludedPair[], of: (concluded: Concluded) => string[]): string[] {
  return [...new Set(pairs.flatMap(({ first, second }) => [...of(first), ...of(second)]))];
}

function labelAgreement(name: string, pairs: readonly ConcludedPair[]): LabelAgreement[] {
  const both = pairs.flatMap(({ first, second }) => {
    const [one, other] = [first, second].map(({ labels }) => labels.find((label) => label.name === name));
    return one && other ? [{ one, other }] : [];
  });
  if (both.length === 0) return [];
  const count = (first: boolean, second: boolean): number => both.filter(({ one, other }) => one.positive === first && other.positive === second).length;
  const [bothPositive, onlyFirst, onlySecond, bothNegative] = [count(true, true), count(true, false), count(false, true), count(false, false)];
  const differences = both.map(({ one, other }) => other.probability - one.probability);
  return [{
    label: name, pairs: both.length, bothPositive, onlyFirst, onlySecond, bothNegative,
    positiveAgreement: ratio(2 * bothPositive, 2 * bothPositive + onlyFirst + onlySecond),
    negativeAgreement: ratio(2 * bothNegative, 2 * bothNegative + onlyFirst + onlySecond),
    kappa: kappaOf(bothPositive, onlyFirst, onlySecond, bothNegative),
    meanProbabilityDifference: mean(differences), meanAbsoluteProbabilityDifference: mean(differences.map(Math.abs)),
    differenceHistogram: histogram(differences),
  }];
}

/** Of a table of two times two. */
export function kappaOf(bothPositive: number, onlyFirst: number, onlySecond: number, bothNegative: number): number | null {
  const all = bothPositive + onlyFirst + onlySecond + bothNegative;
  if (all === 0) return null;
  const observed = (bothPositive + bothNegative) / all;
  const [firstPositive, secondPositive] = [(bothPositive + onlyFirst) / all, (bothPositive + onlySecond) / all];
  const byChance = firstPositive * secondPositive + (1 - firstPositive) * (1 - secondPositive);
  return byChance === 1 ? null : (observed - byChance) / (1 - byChance);
}

function histogram(differences: readonly number[]): number[] {
  const counts = new Array<number>(BINS).fill(0);
  for (const difference of differences) {
    // In tenths and rounded, so that 0.3 is not in the bin before because of its binary form.
    const bin = Math.min(BINS - 1, Math.max(0, Math.floor(Math.round((difference + 1) * 10 * 1e9) / 1e9)));
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  return counts;
}

type PlacedFinding = Finding & { location: { center: [number, number, number]; frameOfReferenceUid?: string | undefined } };

function isPlaced(finding: Finding): finding is PlacedFinding {
  return finding.location?.center !== undefined;
}

function detectionAgreement(kind: string, pairs: readonly ConcludedPair[]): DetectionAgreement {
  let [studies, first, second] = [0, 0, 0];
  const distances: number[] = [];
  for (const pair of pairs) {
    const [ones, others] = [pair.first, pair.second].map(({ findings }) => findings.filter(isPlaced).filter((finding) => finding.kind === kind));
    if (!ones || !others || ones.length + others.length === 0) continue;
    studies += 1;
    first += ones.length;
    second += others.length;
    distances.push(...matchedDistances(ones, others));
  }
  const matched = distances.length;
  return {
    kind, studies, first, second, matched, onlyFirst: first - matched, onlySecond: second - matched, agreement: ratio(2 * matched, first + second) ?? 0,
    withinMm: SAME_NODULE_MM, meanDistanceMm: matched === 0 ? null : mean(distances),
  };
}

/** One to one, the nearest first. */
function matchedDistances(ones: readonly PlacedFinding[], others: readonly PlacedFinding[]): number[] {
  const near = ones.flatMap((one, i) => others.map((other, j) => ({ i, j, distance: distanceMm(one, other) }))).filter(({ distance }) => distance <= SAME_NODULE_MM);
  const [takenOnes, takenOthers] = [new Set<number>(), new Set<number>()];
  return near.sort((a, b) => a.distance - b.distance).flatMap(({ i, j, distance }) => {
    if (takenOnes.has(i) || takenOthers.has(j)) return [];
    takenOnes.add(i);
    takenOthers.add(j);
    return [distance];
  });
}

function distanceMm({ location: a }: PlacedFinding, { location: b }: PlacedFinding): number {
  if (a.frameOfReferenceUid !== b.frameOfReferenceUid) return Infinity;
  return Math.hypot(a.center[0] - b.center[0], a.center[1] - b.center[1], a.center[2] - b.center[2]);
}

function volumeAgreement(segment: string, pairs: readonly ConcludedPair[]): VolumeAgreement {
  const volumes = pairs.filter(({ first, second }) => [first, second].some(({ segments }) => segments.some(({ name }) => name === segment)))
    .map(({ first, second }) => ({ first: volumeOf(first, segment), second: volumeOf(second, segment) }));
  const differences = volumes.map(({ first, second }) => second - first);
  const centre = mean(differences);
  const spread = Math.sqrt(differences.reduce((sum, difference) => sum + (difference - centre) ** 2, 0) / (differences.length - 1));
  return {
    segment, pairs: volumes.length, meanFirstMl: mean(volumes.map(({ first }) => first)), meanSecondMl: mean(volumes.map(({ second }) => second)),
    meanDifferenceMl: centre, meanAbsoluteDifferenceMl: mean(differences.map(Math.abs)),
    limitsOfAgreementMl: differences.length < 2 ? null : [centre - 1.96 * spread, centre + 1.96 * spread],
  };
}

function volumeOf({ segments }: Concluded, name: string): number {
  return segments.find((segment) => segment.name === name)?.volumeMl ?? 0;
}

function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
}

function ratio(part: number, whole: number): number | null {
  return whole === 0 ? null : part / whole;
}
