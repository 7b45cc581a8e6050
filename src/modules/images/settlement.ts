/** Why and how a study became complete. Holds no PHI. */
export interface CompletionReceipt {
  reason: 'timer' | 'explicit';
  /** RFC 3339. */
  at: string;
  revision: number;
  instances: number;
  series: SeriesReceipt[];
}

export interface SeriesReceipt {
  seriesInstanceUid: string;
  instances: number;
  /** What the sender announced: Number of Series Related Instances (0020,1209). */
  expected?: number;
  /** Gaps between the smallest and the largest Instance Number, the first hundred. */
  missingInstanceNumbers?: number[];
}

/** A series as the database counts it; instances that we derived are left out. */
export interface SeriesTally {
  seriesInstanceUid: string;
  instances: number;
  instanceNumbers: number[];
  expected: number | null;
}

const MAX_LISTED = 100;

export function completionReceipt(reason: CompletionReceipt['reason'], at: Date, revision: number, tallies: readonly SeriesTally[]): CompletionReceipt {
  return {
    reason,
    at: at.toISOString(),
    revision,
    instances: tallies.reduce((sum, { instances }) => sum + instances, 0),
    series: tallies.map(({ seriesInstanceUid, instances, instanceNumbers, expected }) => {
      const missing = missingNumbers(instanceNumbers);
      return { seriesInstanceUid, instances, ...(expected !== null && { expected }), ...(missing.length > 0 && { missingInstanceNumbers: missing }) };
    }),
  };
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
