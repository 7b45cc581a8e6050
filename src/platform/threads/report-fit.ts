/** What of a report can be smaller where its first page is short of room; points. */
export interface ReportFit {
  /** Of a picture. */
  side: number;
  /** Of the comparison; the others follow on further pages. */
  rows: number;
  /** Whether there is a picture of how it developed beside them. */
  hasTrend: boolean;
}

export interface ReportHeights {
  /** Of the tables with their first rows, which come before all else. */
  tables: number;
  /** What stands below pictures; 0 without pictures. */
  captions: number;
  comparison: (fit: Pick<ReportFit, 'rows' | 'hasTrend'>) => number;
}

/** One alone may be larger than several. */
const LONE_PICTURE = 220;
/** A picture that is smaller shows too little. */
const LEAST_SIDE = 100;
/** From the best to the worst. */
const CHOICES: readonly Pick<ReportFit, 'rows' | 'hasTrend'>[] = [
  { rows: 5, hasTrend: true }, { rows: 4, hasTrend: true }, { rows: 3, hasTrend: true }, { rows: 4, hasTrend: false }, { rows: 2, hasTrend: false }, { rows: 1, hasTrend: false },
];

/** First the pictures become smaller, then the comparison shorter. @param mostSide  0 without pictures */
export function fitReport(room: number, mostSide: number, { tables, captions, comparison }: ReportHeights): ReportFit {
  const least = Math.min(LEAST_SIDE, mostSide);
  const spare = (choice: Pick<ReportFit, 'rows' | 'hasTrend'>): number => room - tables - captions - comparison(choice);
  const choice = CHOICES.find((one) => spare(one) >= least) ?? { rows: 1, hasTrend: false };
  return { ...choice, side: Math.max(least, Math.min(mostSide, spare(choice))) };
}

/** `most` stand side by side; 0 without pictures. */
export function pictureSide(count: number, { width, gap, most }: { width: number; gap: number; most: number }): number {
  if (count === 0) return 0;
  return count === 1 ? LONE_PICTURE : (width - (most - 1) * gap) / most;
}
