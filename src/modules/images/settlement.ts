/** Why and how a study became complete. Holds no PHI. */
export interface CompletionReceipt {
  /** `timer`: nothing new came for a while; `expected-count`: all that was announced is there; `explicit`: somebody said so. */
  reason: 'timer' | 'expected-count' | 'explicit';
  /** RFC 3339. */
  at: string;
  revision: number;
  instances: number;
  /** What the sender announced: Number of Study Related Instances (0020,1208). */
  expectedInstances?: number;
  /** What the sender announced: Number of Study Related Series (0020,1206). */
  expectedSeries?: number;
  /** Instances that came when the study had been complete before: they caused this revision. */
  lateInstances?: number;
  series: SeriesReceipt[];
}

export interface SeriesReceipt {
  seriesInstanceUid: string;
  instances: number;
  /** What the sender announced: Number of Series Related Instances (0020,1209). */
  expected?: number;
  /** Gaps between the smallest and the largest Instance Number, the first hundred. */
  missingInstanceNumbers?: number[];
  /** Gaps between neighbouring slices, the first hundred. */
  missingSlices?: SliceGap[];
}

/** Slices that should lie behind the one at `afterMm` (along the normal) and do not. */
export interface SliceGap {
  afterMm: number;
  missing: number;
}

/** A series as the database counts it; instances that we derived are left out. */
export interface SeriesTally {
  seriesInstanceUid: string;
  instances: number;
  instanceNumbers: number[];
  /** Along the normal of the slices, in mm, in any order. */
  slicePositionsMm: number[];
  /** What the sender announced: instances of this series, series and instances of the study. */
  expected: number | null;
  expectedSeries: number | null;
  expectedInStudy: number | null;
}

/** What a receipt says beside the series. */
export interface Completion {
  reason: CompletionReceipt['reason'];
  at: Date;
  revision: number;
  lateInstances: number;
}

const MAX_LISTED = 100;
/** Positions that lie closer are one place: several echoes, phases or times of one slice. */
const SAME_PLACE_MM = 0.01;
/** A larger step than this, in median steps, leaves something out. */
const LARGEST_STEP = 1.5;

export function completionReceipt({ reason, at, revision, lateInstances }: Completion, tallies: readonly SeriesTally[]): CompletionReceipt {
  const { expectedSeries, expectedInStudy } = announcedForStudy(tallies);
  return {
    reason,
    at: at.toISOString(),
    revision,
    instances: total(tallies),
    ...(expectedInStudy !== null && { expectedInstances: expectedInStudy }),
    ...(expectedSeries !== null && { expectedSeries }),
    ...(lateInstances > 0 && { lateInstances }),
    series: tallies.map(({ seriesInstanceUid, instances, instanceNumbers, slicePositionsMm, expected }) => {
      const missing = missingNumbers(instanceNumbers);
      const gaps = missingSlices(slicePositionsMm);
      return {
        seriesInstanceUid, instances,
        ...(expected !== null && { expected }), ...(missing.length > 0 && { missingInstanceNumbers: missing }), ...(gaps.length > 0 && { missingSlices: gaps }),
      };
    }),
  };
}

/**
 * Whether everything that was announced is there, so that nobody has to wait for silence. What bounds the study must have been
 * announced: its number of instances, or its number of series together with the size of each; a series that is whole says nothing
 * of the next one. More than was announced means that the announcement cannot be relied upon.
 *
 * @see PS3.4 C.3.4, where these attributes are defined
 */
export function isAsAnnounced(tallies: readonly SeriesTally[]): boolean {
  const { expectedSeries, expectedInStudy } = announcedForStudy(tallies);
  if (tallies.some(({ instances, expected }) => expected !== null && instances !== expected)) return false;
  if (expectedSeries !== null && tallies.length !== expectedSeries) return false;
  if (expectedInStudy !== null) return total(tallies) === expectedInStudy;
  return expectedSeries !== null && tallies.every(({ expected }) => expected !== null);
}

/** The largest numbers that any series brought: a sender that counts while it sends ends with them. */
function announcedForStudy(tallies: readonly SeriesTally[]): { expectedSeries: number | null; expectedInStudy: number | null } {
  const largest = (values: (number | null)[]): number | null => values.reduce((most, value) => (value !== null && (most === null || value > most) ? value : most), null);
  return { expectedSeries: largest(tallies.map(({ expectedSeries }) => expectedSeries)), expectedInStudy: largest(tallies.map(({ expectedInStudy }) => expectedInStudy)) };
}

function total(tallies: readonly SeriesTally[]): number {
  return tallies.reduce((sum, { instances }) => sum + instances, 0);
}

/**
 * Where a stack of slices has holes: steps of more than 1.5 × the median. Series that lack more than they have are no stack
 * (localizers, several slabs) and say nothing.
 *
 * @param positionsMm  along the normal, in any order; several at one place count as one
 */
export function missingSlices(positionsMm: readonly number[]): SliceGap[] {
  const places: number[] = [];
  for (const position of [...positionsMm].sort((a, b) => a - b)) {
    const last = places.at(-1);
    if (last === undefined || position - last > SAME_PLACE_MM) places.push(position);
  }
  const steps = places.slice(1).map((place, index) => place - (places[index] ?? place));
  if (steps.length < 2) return [];
  // Of an even number the smaller middle: a step that is there twice is the regular one.
  const median = [...steps].sort((a, b) => a - b)[Math.floor((steps.length - 1) / 2)] ?? 0;
  const gaps = steps.flatMap((step, index) => (step > LARGEST_STEP * median ? [{ afterMm: rounded(places[index] ?? 0), missing: Math.max(1, Math.round(step / median) - 1) }] : []));
  const lacking = gaps.reduce((sum, { missing }) => sum + missing, 0);
  return lacking > places.length ? [] : gaps.slice(0, MAX_LISTED);
}

/** To micrometres. */
function rounded(mm: number): number {
  return Math.round(mm * 1000) / 1000;
}

/**
 * The numbers that a series skips. Series that number sparsely on purpose (by position, by time) would list everything, so
 * one that misses more than it has says nothing.
 */
export function missingNumbers(present: readonly number[]): number[] {
  const known = new Set(present);
  let first = Infinity;
  let last = -Infinity;
  for (const value of known) {
    first = Math.min(first, value);
    last = Math.max(last, value);
  }
  if (known.size < 2 || last - first + 1 > known.size * 2) return [];
  const missing: number[] = [];
  for (let value = first; value <= last && missing.length < MAX_LISTED; value++) if (!known.has(value)) missing.push(value);
  return missing;
}
