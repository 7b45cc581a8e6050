import { percentText, positiveLabels, topLabel } from '../../imaging/report/summary.js';
import { measurementText } from '../../imaging/report/measurement-text.js';
import { displayNameOf } from '../../imaging/report/terms.js';
import { STRANGE_IN_SHORT } from '../../imaging/report/warnings.js';
import { AppError, type Language } from '../../kernel/errors.js';
import type { Finding, Label } from '../../imaging/report/finding.js';
import { resultSummary } from './findings-json.js';
import type { Rendering, ResultRecord } from './results.store.js';

/** What a caller wants to see; nothing means the most telling label. */
export interface PreviewWish {
  finding?: string | undefined;
  label?: string | undefined;
}

/** What a preview shows. */
export interface PreviewSubject {
  /** Distinguishes the previews of one result. */
  key: string;
  caption: string;
  /** The probability or score, for the caption. */
  value: string;
  detail: string;
  /** Where it is to be seen; null for the result's key image. `frame` counts from 1. */
  place: { sopInstanceUid: string; frame: number } | null;
  heatMap: Rendering['heatMaps'][number] | null;
  /** The finding that is shown; absent where it is a label, or nothing. */
  finding?: Finding;
}

/**
 * Decides what the preview shows: the finding, the label, or the label that says most.
 *
 * @throws AppError `finding-not-found` when the result has no such finding or label
 */
export function previewSubject(record: ResultRecord, wish: PreviewWish, language: Language): PreviewSubject {
  const subject = subjectOf(record, wish, language);
  if (record.provenance.outOfDistribution?.strange !== true) return subject;
  return { ...subject, detail: `${STRANGE_IN_SHORT[language]} · ${subject.detail}` };
}

function subjectOf(record: ResultRecord, wish: PreviewWish, language: Language): PreviewSubject {
  if (wish.finding !== undefined) return findingSubject(record, wish.finding, language);
  const label = wish.label === undefined ? (positiveLabels(record.labels)[0] ?? topLabel(record.labels)) : record.labels.find(({ name }) => name === wish.label);
  if (label) return labelSubject(record, label, language);
  if (wish.label !== undefined) throw new AppError('finding-not-found', { detail: 'The result has no such label.' });
  const [first] = [...record.findings].sort((a, b) => b.score - a.score);
  if (first) return findingSubject(record, first.id, language);
  return { key: '', caption: resultSummary(record, language), value: '', detail: modelText(record), place: null, heatMap: null };
}

function labelSubject(record: ResultRecord, label: Label, language: Language): PreviewSubject {
  const { name, probability, review } = label;
  return {
    key: `label:${name}`,
    caption: displayNameOf(name, language),
    // How sure the model was says nothing of what a person says instead.
    value: review?.state === 'disagreed' ? '' : percentText(probability),
    detail: `${verdictText(label, language)} · ${modelText(record)}`,
    place: null,
    heatMap: heatMapOf(record, name),
  };
}

function verdictText({ threshold, positive, review }: Label, language: Language): string {
  const limit = percentText(threshold);
  const [above, below, present, absent] = language === 'zh-CN'
    ? [`高于阈值 ${limit}`, `低于阈值 ${limit}`, '阅片者判为有', '阅片者判为无'] as const
    : [`Above its threshold of ${limit}`, `Below its threshold of ${limit}`, 'Present, says the reader', 'Absent, says the reader'] as const;
  if (review?.state === 'disagreed') return positive ? present : absent;
  return positive ? above : below;
}

function findingSubject(record: ResultRecord, id: string, language: Language): PreviewSubject {
  // One that was rejected can be looked at, too: by whoever thinks again.
  const finding = [...record.findings, ...(record.review?.findings ?? [])].find((one) => one.id === id);
  if (!finding) throw new AppError('finding-not-found');
  // A finding of a classification is a label that is positive; its heat map and threshold are the label's.
  const label = finding.kind === 'label' ? record.labels.find(({ code, probability }) => code?.value === finding.code.value && probability === finding.score) : undefined;
  if (label) return labelSubject(record, label, language);
  const measured = ['diameter', 'volume'].flatMap((wanted) => finding.measurements.filter(({ name }) => name === wanted));
  const { location, review } = finding;
  const isAdded = review?.state === 'added';
  return {
    key: `finding:${id}`,
    caption: displayNameOf(finding.kind === 'label' ? finding.code.meaning : finding.kind, language),
    value: isAdded ? '' : percentText(finding.score),
    detail: [...measured.map((one) => measurementText(one, language)), isAdded ? (language === 'zh-CN' ? '阅片者补充' : 'Added by the reader') : modelText(record)].join(' · '),
    place: location ? { sopInstanceUid: location.sopInstanceUid, frame: location.frame } : null,
    heatMap: heatMapOf(record, id),
    finding,
  };
}

function heatMapOf(record: ResultRecord, name: string): PreviewSubject['heatMap'] {
  return record.rendering.heatMaps.find(({ label }) => label === name) ?? null;
}

function modelText({ provenance: { model } }: ResultRecord): string {
  return `${model.name} ${model.version}`;
}
