import type { AnalysisResult, Run } from './installation.js';
import { table, writeLine } from './terminal.js';

export interface FindingRow {
  study: string;
  /** What is known to be there; empty where nothing is. */
  truth: string;
  label: string;
  probability: number | null;
  threshold: number | null;
  verdict: string;
  /** Why there is no finding; null where there is one. */
  reason: string | null;
  model: string;
  seconds: number;
}

/** One row per label of a result, or one that says why there is none. */
export function findingRows(study: string, truth: string, run: Run, result: AnalysisResult | null, seconds: number): FindingRow[] {
  const base = { study, truth, model: `${run.model.name}@${run.model.version}`, seconds: Math.round(seconds * 100) / 100 };
  if (!result || result.labels.length === 0) {
    const reason = run.reason ? [run.reason.code, run.reason.detail].filter(Boolean).join(': ') : null;
    return [{ ...base, label: result?.summary.text ?? '–', probability: null, threshold: null, verdict: run.status, reason }];
  }
  return result.labels.map(({ name, probability, threshold, positive }) => ({ ...base, label: name, probability, threshold, verdict: positive ? 'positive' : 'negative', reason: null }));
}

export function writeFindings(rows: readonly FindingRow[]): void {
  const hasTruth = rows.some(({ truth }) => truth !== '');
  writeLine(table(rows, [
    { title: 'Study', value: ({ study }) => shortened(study) },
    ...(hasTruth ? [{ title: 'Truth', value: ({ truth }: FindingRow) => truth }] : []),
    { title: 'Label', value: ({ label }) => label },
    { title: 'Probability', value: ({ probability }) => (probability === null ? '–' : probability.toFixed(4)), align: 'right' },
    { title: 'Threshold', value: ({ threshold }) => (threshold === null ? '–' : threshold.toFixed(4)), align: 'right' },
    { title: 'Verdict', value: ({ verdict }) => verdict, style: ({ verdict }) => (verdict === 'positive' ? 'red' : verdict === 'negative' ? 'green' : 'yellow') },
    { title: 'Model', value: ({ model }) => model },
    { title: 'Time', value: ({ seconds }) => `${seconds.toFixed(1)} s`, align: 'right' },
  ]));
  for (const { study, reason } of rows) if (reason !== null) writeLine(`${shortened(study)}: ${reason}`);
  writeLine('Not for primary diagnosis.');
}

/** UIDs are long; their ends tell studies apart. */
function shortened(study: string): string {
  return study.length > 24 ? `…${study.slice(-20)}` : study;
}
