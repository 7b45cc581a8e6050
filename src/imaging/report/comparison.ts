import { ownEntry } from '../../kernel/own-entry.js';
import { indexToLps } from '../volume/geometry.js';
import type { Affine, Vector3 } from '../volume/volume.js';
import type { Finding, Label, Segment } from './finding.js';

/** What became of a finding. */
export type Trend = 'new' | 'stable' | 'grown' | 'shrunk' | 'gone';

export interface Change {
  prior: number;
  current: number;
  change: number;
  /** null where there was nothing before. */
  changePercent: number | null;
}

export interface ComparedFinding {
  trend: Trend;
  kind: string;
  /** Ids of the findings; null where there is none. */
  current: string | null;
  prior: string | null;
  /** Between the two, in the prior study's space after registration. */
  distanceMm?: number;
  measurements: ({ name: string; unit: string } & Change)[];
  /** At the rate between the two studies; of what grew alone. */
  volumeDoublingDays?: number;
}

export interface Comparison {
  findings: ComparedFinding[];
  segments: ({ name: string } & Change)[];
  labels: ({ name: string } & Change)[];
}

export interface Comparable {
  findings: readonly Finding[];
  segments: readonly Segment[];
  labels: readonly Label[];
}

export interface ComparisonOptions {
  /** A point of the current study, LPS millimetres → the same point of the prior one. */
  toPrior: Affine;
  /** From the prior to the current study. */
  days: number;
}

/** Farther apart than this, or than the larger one's diameter, are two. */
const SAME_PLACE_MM = 10;
/** What counts as growth. Nodules: Lung-RADS v2022 (1.5 mm of mean diameter) and Fleischner 2017 (25 % of volume); tumours: RANO 2.0, volumes. */
const LIMITS: Readonly<Record<string, { diameterMm: number; grownPercent: number; shrunkPercent: number }>> = {
  nodule: { diameterMm: 1.5, grownPercent: 25, shrunkPercent: 25 },
  tumour: { diameterMm: Infinity, grownPercent: 40, shrunkPercent: 65 },
};
const OTHERS = { diameterMm: 1.5, grownPercent: 25, shrunkPercent: 25 };

/**
 * Sets what was found now against what was found before. Findings of one kind are matched where they lie, the nearest first.
 * What is compared is what both results say, so a reader's corrections count.
 */
export function compareResults(prior: Comparable, current: Comparable, { toPrior, days }: ComparisonOptions): Comparison {
  const pairs = matched(prior.findings, current.findings, toPrior);
  const [before, now] = [new Set(pairs.map((pair) => pair.prior)), new Set(pairs.map((pair) => pair.current))];
  return {
    findings: [
      ...pairs.map((pair) => compared(pair, days)),
      ...current.findings.filter((finding) => isPlaced(finding) && !now.has(finding)).map(({ id, kind }) => ({ trend: 'new' as const, kind, current: id, prior: null, measurements: [] })),
      ...prior.findings.filter((finding) => isPlaced(finding) && !before.has(finding)).map(({ id, kind }) => ({ trend: 'gone' as const, kind, current: null, prior: id, measurements: [] })),
    ],
    // A segment that is not there has no volume; of a label that a model does not have nothing is known.
    segments: byName(withEmpty(prior.segments, current.segments), withEmpty(current.segments, prior.segments), ({ volumeMl }) => volumeMl),
    labels: byName(prior.labels, current.labels, ({ probability }) => probability),
  };
}

interface Pair {
  prior: Finding;
  current: Finding;
  distanceMm: number;
}

function matched(prior: readonly Finding[], current: readonly Finding[], toPrior: Affine): Pair[] {
  const candidates: Pair[] = [];
  // Each is measured once: of a thousand findings there are a million pairs.
  const before = prior.filter(isPlaced).map((finding) => ({ finding, kind: finding.kind, center: finding.location.center, reachMm: Math.max(SAME_PLACE_MM, diameterOf(finding)) }));
  for (const now of current.filter(isPlaced)) {
    const [x, y, z] = indexToLps(toPrior, now.location.center);
    const ownReachMm = diameterOf(now);
    for (const { finding, kind, center, reachMm } of before) {
      const [dx, dy, dz] = [x - center[0], y - center[1], z - center[2]];
      const limitMm = Math.max(reachMm, ownReachMm);
      if (kind !== now.kind || dx * dx + dy * dy + dz * dz > limitMm * limitMm) continue;
      candidates.push({ prior: finding, current: now, distanceMm: Math.hypot(dx, dy, dz) });
    }
  }
  const taken = new Set<Finding>();
  return candidates.sort((a, b) => a.distanceMm - b.distanceMm).filter((pair) => {
    if (taken.has(pair.prior) || taken.has(pair.current)) return false;
    taken.add(pair.prior).add(pair.current);
    return true;
  });
}

function compared({ prior, current, distanceMm }: Pair, days: number): ComparedFinding {
  const measurements = current.measurements.flatMap(({ name, unit, value }) => {
    const before = prior.measurements.find((one) => one.name === name && one.unit === unit);
    return before ? [{ name, unit, ...changeOf(before.value, value) }] : [];
  });
  const volume = measurements.find(({ name }) => name === 'volume');
  const trend = trendOf(current.kind, measurements);
  const doubling = trend === 'grown' && volume && volume.prior > 0 && volume.current > volume.prior && days > 0 ? (days * Math.LN2) / Math.log(volume.current / volume.prior) : undefined;
  return { trend, kind: current.kind, current: current.id, prior: prior.id, distanceMm: rounded(distanceMm), measurements, ...(doubling !== undefined && { volumeDoublingDays: Math.round(doubling) }) };
}

function trendOf(kind: string, measurements: ComparedFinding['measurements']): Trend {
  const { diameterMm, grownPercent, shrunkPercent } = ownEntry(LIMITS, kind) ?? OTHERS;
  const diameter = measurements.find(({ name, unit }) => name === 'diameter' && unit === 'mm')?.change ?? 0;
  const volume = measurements.find(({ name }) => name === 'volume')?.changePercent ?? 0;
  if (volume >= grownPercent || diameter > diameterMm) return 'grown';
  return volume <= -shrunkPercent || diameter < -diameterMm ? 'shrunk' : 'stable';
}

function withEmpty(own: readonly Segment[], others: readonly Segment[]): Segment[] {
  return [...own, ...others.filter(({ name }) => !own.some((one) => one.name === name)).map((one) => ({ ...one, volumeMl: 0 }))];
}

function byName<T extends { name: string }>(prior: readonly T[], current: readonly T[], valueOf: (one: T) => number): ({ name: string } & Change)[] {
  return current.flatMap((now) => {
    const before = prior.find(({ name }) => name === now.name);
    return before ? [{ name: now.name, ...changeOf(valueOf(before), valueOf(now)) }] : [];
  });
}

function changeOf(prior: number, current: number): Change {
  return { prior, current, change: rounded(current - prior), changePercent: prior === 0 ? null : Math.round(((current - prior) / prior) * 1000) / 10 };
}

function isPlaced(finding: Finding): finding is Finding & { location: { center: Vector3 } } {
  return finding.location?.center !== undefined;
}

function diameterOf({ measurements }: Finding): number {
  return measurements.find(({ name, unit }) => name === 'diameter' && unit === 'mm')?.value ?? 0;
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}
