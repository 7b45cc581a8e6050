import type { AnalysisResult, Run } from './installation.js';
import { table, writeLine } from './terminal.js';

export interface FindingRow {
  study: string;
  /** What is known to be there; empty where nothing is. */
  truth: string;
  /** A label, a finding or a segment, with its size. */
  label: string;
  /** How well the finding fits the truth, in words; empty where nobody knows. */
  agreement: string;
  /** Between the centres of finding and truth, in millimetres. */
  distanceMm?: number | undefined;
  /** Of the segment and the truth. */
  dice?: number | undefined;
  probability: number | null;
  threshold: number | null;
  verdict: string;
  /** Why there is no finding; null where there is one. */
  reason: string | null;
  /** What must be known of the result before it is trusted. */
  warnings: readonly string[];
  model: string;
  seconds: number;
}

/** What the rows of one run share. */
export type RunFacts = Pick<FindingRow, 'study' | 'warnings' | 'model' | 'seconds'>;

export function runFacts(study: string, run: Run, result: AnalysisResult | null, seconds: number): RunFacts {
  return { study, warnings: (result?.warnings ?? []).map(({ text }) => text), model: `${run.model.name}@${run.model.version}`, seconds: Math.round(seconds * 100) / 100 };
}

/** One row per label, finding and segment of a result, or one that says why there is none. */
export function findingRows(facts: RunFacts, truth: string, run: Run, result: AnalysisResult | null): FindingRow[] {
  const rows = result === null ? [] : [
    ...result.labels.map(({ name, probability, threshold, positive }): FindingRow => ({ ...facts, truth, label: name, agreement: '', probability, threshold, verdict: positive ? 'positive' : 'negative', reason: null })),
    // What a label was found by is no finding beside it.
    ...(result.labels.length > 0 ? [] : result.findings).map((finding): FindingRow => ({ ...facts, truth, label: findingText(finding), agreement: '', probability: finding.score, threshold: null, verdict: 'found', reason: null })),
    ...result.segments.map(({ name, volumeMl }): FindingRow => ({ ...facts, truth, label: `${name} ${volumeMl.toFixed(1)} ml`, agreement: '', probability: null, threshold: null, verdict: 'segmented', reason: null })),
  ];
  return rows.length > 0 ? rows : [rowWithout(facts, truth, run, result)];
}

/** The row of a run that found nothing, or could not look. */
export function rowWithout(facts: RunFacts, truth: string, run: Run, result: AnalysisResult | null): FindingRow {
  const reason = run.reason ? [run.reason.code, run.reason.detail].filter(Boolean).join(': ') : null;
  return { ...facts, truth, label: result?.summary.text ?? '–', agreement: '', probability: null, threshold: null, verdict: run.status, reason };
}

/** A finding in a few words: what it is and how long. */
export function findingText({ code, measurements }: AnalysisResult['findings'][number]): string {
  const longest = measurements.find(({ unit }) => unit === 'mm');
  return longest === undefined ? code.meaning : `${code.meaning} ${longest.value.toFixed(1)} mm`;
}

export function writeFindings(rows: readonly FindingRow[]): void {
  const known = (of: (row: FindingRow) => string | null): boolean => rows.some((row) => (of(row) ?? '') !== '');
  const number = (value: number | null): string => (value === null ? '–' : value.toFixed(4));
  writeLine(table(rows, [
    { title: 'Study', value: ({ study }) => shortened(study) },
    ...(known(({ truth }) => truth) ? [{ title: 'Truth', value: ({ truth }: FindingRow) => truth }] : []),
    { title: 'Finding', value: ({ label }) => label },
    ...(known(({ agreement }) => agreement) ? [{ title: 'Agreement', value: ({ agreement }: FindingRow) => agreement }] : []),
    { title: 'Probability', value: ({ probability }) => number(probability), align: 'right' },
    { title: 'Threshold', value: ({ threshold }) => number(threshold), align: 'right' },
    { title: 'Verdict', value: ({ verdict }) => verdict, style: ({ verdict }) => STYLES[verdict] ?? 'yellow' },
    { title: 'Model', value: ({ model }) => model },
    { title: 'Time', value: ({ seconds }) => `${seconds.toFixed(1)} s`, align: 'right' },
  ]));
  for (const { study, reason } of rows) if (reason !== null) writeLine(`${shortened(study)}: ${reason}`);
  for (const warning of new Set(rows.flatMap(({ study, warnings }) => warnings.map((text) => `${shortened(study)}: ${text}`)))) writeLine(warning);
  writeLine('Not for primary diagnosis.');
}

const STYLES: Readonly<Record<string, 'red' | 'green' | 'yellow'>> = { positive: 'red', negative: 'green', found: 'green', segmented: 'green', missed: 'red' };

/** UIDs are long; their ends tell studies apart. */
function shortened(study: string): string {
  return study.length > 24 ? `…${study.slice(-20)}` : study;
}
