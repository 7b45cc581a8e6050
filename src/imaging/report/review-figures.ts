/** What is known of one result of a model, for figures over many. */
export interface ResultFacts {
  studyInstanceUid: string;
  createdAt: Date;
  station: string | null;
  scanner: string | null;
  /** Numbers that tell what kind of images they were: slices, spacing, tube voltage, … */
  input: Readonly<Record<string, number>>;
  /** The highest score or probability that the model gave to something found, "No Finding" left out; null when it gave none. */
  topScore: number | null;
  /** null until a person has looked at it. */
  review: ReviewFacts | null;
}

export interface ReviewFacts {
  /** Of the model's findings, those that stand as they were; `bySignOff` of them only because the result was signed. */
  accepted: number;
  bySignOff: number;
  edited: number;
  rejected: number;
  /** Of the rejected, those that are not there: neither duplicates nor irrelevant. */
  falsePositives: number;
  /** Findings of persons that stand: what the model missed. */
  added: number;
  labels: readonly { name: string; modelPositive: boolean; agreed: boolean }[];
}

/** How a model did in the eyes of persons. Rates are null where there is nothing to divide by. */
export interface ReviewFigures {
  results: number;
  reviewed: number;
  accepted: number;
  acceptedBySignOff: number;
  edited: number;
  rejected: number;
  added: number;
  /** (accepted + edited) / (accepted + edited + rejected). */
  acceptRate: number | null;
  falsePositivesPerStudy: number | null;
  missedPerStudy: number | null;
  /** Labels that persons disagree with / labels that they judged. */
  labelDisagreementRate: number | null;
}

export interface LabelReview {
  label: string;
  judged: number;
  agreed: number;
  /** The model says positive, the person does not. */
  falsePositives: number;
  falseNegatives: number;
}

export interface Spread {
  results: number;
  mean: number;
  /** Of the sample; null for a single one. */
  standardDeviation: number | null;
}

export interface Bucket extends ReviewFigures {
  from: Date;
  topScore: Spread | null;
  /** Population stability index of the top scores against all results of the group before; null where either is fewer than 20. */
  scorePsi: number | null;
  inputs: ({ name: string; /** From the mean of all before, in their standard deviations; null where those are fewer than 20. */ shift: number | null } & Spread)[];
}

export interface Series {
  by: 'all' | 'station' | 'scanner';
  group: string;
  buckets: Bucket[];
}

/** Fewer say nothing about a distribution. */
const ENOUGH = 20;
/** Groups that are told apart; the others are one. */
export const MOST_GROUPS = 20;
export const OTHER_GROUPS = 'other';
const UNKNOWN = 'unknown';
const PSI_BINS = 10;

export function reviewFigures(facts: readonly ResultFacts[]): ReviewFigures {
  const reviewed = facts.flatMap(({ review, studyInstanceUid }) => (review ? [{ ...review, studyInstanceUid }] : []));
  const sum = (of: (one: ReviewFacts) => number): number => reviewed.reduce((total, one) => total + of(one), 0);
  const studies = new Set(reviewed.map(({ studyInstanceUid }) => studyInstanceUid)).size;
  const [accepted, edited, rejected, added] = [sum((one) => one.accepted), sum((one) => one.edited), sum((one) => one.rejected), sum((one) => one.added)];
  return {
    results: facts.length, reviewed: reviewed.length, accepted, acceptedBySignOff: sum((one) => one.bySignOff), edited, rejected, added,
    acceptRate: ratio(accepted + edited, accepted + edited + rejected),
    falsePositivesPerStudy: ratio(sum((one) => one.falsePositives), studies), missedPerStudy: ratio(added, studies),
    labelDisagreementRate: ratio(sum(({ labels }) => labels.filter(({ agreed }) => !agreed).length), sum(({ labels }) => labels.length)),
  };
}

export function labelReviews(facts: readonly ResultFacts[]): LabelReview[] {
  const tally = new Map<string, LabelReview>();
  for (const { name, modelPositive, agreed } of facts.flatMap(({ review }) => review?.labels ?? [])) {
    const before = tally.get(name) ?? { label: name, judged: 0, agreed: 0, falsePositives: 0, falseNegatives: 0 };
    tally.set(name, {
      label: name, judged: before.judged + 1, agreed: before.agreed + (agreed ? 1 : 0),
      falsePositives: before.falsePositives + (!agreed && modelPositive ? 1 : 0), falseNegatives: before.falseNegatives + (!agreed && !modelPositive ? 1 : 0),
    });
  }
  return [...tally.values()].sort((a, b) => (a.label < b.label ? -1 : 1));
}

/** Of all results, of each station and of each scanner, in buckets of days or of weeks (UTC, from Monday). Buckets without results are left out. */
export function seriesOf(facts: readonly ResultFacts[], bucket: 'day' | 'week'): Series[] {
  const named = (by: 'station' | 'scanner'): Series[] => grouped(facts, (one) => one[by] ?? UNKNOWN).map(([group, own]) => ({ by, group, buckets: bucketsOf(own, bucket) }));
  return facts.length === 0 ? [] : [{ by: 'all', group: 'all', buckets: bucketsOf(facts, bucket) }, ...named('station'), ...named('scanner')];
}

/** The largest groups by name, and one of the rest. */
function grouped(facts: readonly ResultFacts[], nameOf: (one: ResultFacts) => string): [string, ResultFacts[]][] {
  const groups = new Map<string, ResultFacts[]>();
  for (const one of facts) push(groups, nameOf(one), one);
  const sorted = [...groups].sort(([a, x], [b, y]) => y.length - x.length || (a < b ? -1 : 1));
  const rest = sorted.slice(MOST_GROUPS).flatMap(([, own]) => own);
  return [...sorted.slice(0, MOST_GROUPS), ...(rest.length > 0 ? [[OTHER_GROUPS, rest] as [string, ResultFacts[]]] : [])];
}

function bucketsOf(facts: readonly ResultFacts[], bucket: 'day' | 'week'): Bucket[] {
  const buckets = new Map<number, ResultFacts[]>();
  for (const one of facts) push(buckets, beginOf(one.createdAt, bucket), one);
  const before: ResultFacts[] = [];
  return [...buckets].sort(([a], [b]) => a - b).map(([from, own]) => {
    const made = { from: new Date(from), ...reviewFigures(own), topScore: spreadOf(scoresOf(own)), scorePsi: stabilityIndex(scoresOf(before), scoresOf(own)), inputs: inputsOf(before, own) };
    before.push(...own);
    return made;
  });
}

/** 1970-01-01 was a Thursday. */
function beginOf(at: Date, bucket: 'day' | 'week'): number {
  const day = Math.floor(at.getTime() / 86_400_000);
  return (bucket === 'day' ? day : day - ((day + 3) % 7)) * 86_400_000;
}

function inputsOf(before: readonly ResultFacts[], own: readonly ResultFacts[]): Bucket['inputs'] {
  const names = [...new Set(own.flatMap(({ input }) => Object.keys(input)))].sort();
  return names.flatMap((name) => {
    const values = (list: readonly ResultFacts[]): number[] => list.flatMap(({ input }) => input[name] ?? []);
    const [spread, reference] = [spreadOf(values(own)), spreadOf(values(before))];
    if (!spread) return [];
    const isEnough = reference !== null && reference.results >= ENOUGH && reference.standardDeviation !== null && reference.standardDeviation > 0;
    return [{ name, ...spread, shift: isEnough ? (spread.mean - reference.mean) / (reference.standardDeviation ?? 1) : null }];
  });
}

function scoresOf(facts: readonly ResultFacts[]): number[] {
  return facts.flatMap(({ topScore }) => topScore ?? []);
}

function spreadOf(values: readonly number[]): Spread | null {
  if (values.length === 0) return null;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { results: values.length, mean, standardDeviation: values.length < 2 ? null : Math.sqrt(squares / (values.length - 1)) };
}

/**
 * Σ (q − p) ln (q / p) over ten bins of 0–1, p before and q now; half a result is added to every bin, so that an empty one is no infinity.
 * Below 0.1 nothing has changed, above 0.25 much has (Siddiqi 2006).
 */
export function stabilityIndex(before: readonly number[], now: readonly number[]): number | null {
  if (before.length < ENOUGH || now.length < ENOUGH) return null;
  const shares = (scores: readonly number[]): number[] => {
    const counts = new Array<number>(PSI_BINS).fill(0.5);
    for (const score of scores) {
      const bin = Math.min(PSI_BINS - 1, Math.max(0, Math.floor(score * PSI_BINS)));
      counts[bin] = (counts[bin] ?? 0) + 1;
    }
    return counts.map((count) => count / (scores.length + PSI_BINS / 2));
  };
  const [p, q] = [shares(before), shares(now)];
  return q.reduce((sum, share, bin) => sum + (share - (p[bin] ?? share)) * Math.log(share / (p[bin] ?? share)), 0);
}

function push<Key, Value>(groups: Map<Key, Value[]>, key: Key, value: Value): void {
  const group = groups.get(key);
  if (group) group.push(value);
  else groups.set(key, [value]);
}

function ratio(part: number, whole: number): number | null {
  return whole === 0 ? null : part / whole;
}
