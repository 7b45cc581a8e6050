import type { DicomJson } from '../dicom/dicom-json.js';
import type { Language } from '../../kernel/errors.js';
import type { ReportComparison, ReportDocument, ReportPicture, ReportTable } from './document.js';
import { DISCLAIMER, type Finding, type Label, type Provenance, type Segment } from './finding.js';
import { attributeValueText, measurementText, propertyName, valueText } from './measurement-text.js';
import { patientBand } from './patient-text.js';
import { REPORT_TEXTS, type ReportTexts } from './report-texts.js';
import { percentText } from './summary.js';
import { displayNameOf } from './terms.js';
import { warningsOf } from './warnings.js';

/** What a report is composed from. */
export interface ReportContent {
  resultId: string;
  analysis: string;
  status: 'preliminary' | 'final' | 'amended' | 'withheld';
  createdAt: Date;
  summary: { text: string; critical: boolean };
  findings: readonly Finding[];
  labels: readonly Label[];
  segments: readonly Segment[];
  provenance: Provenance;
  /** Of an instance that was read: patient and study. */
  attributes: DicomJson;
  institution: string;
  pictures: readonly ReportPicture[];
  /** Who stands for it, once somebody does. */
  signature?: { name: string; at: Date } | undefined;
  /** What changed since an earlier study, where there is one. */
  comparison?: ReportComparison | undefined;
  /** Absent until a person has looked at it. */
  review?: { findings: readonly Finding[]; signedVersion: number | null } | undefined;
}

/** A result as a report, in the reader's language. */
export function composeReport(content: ReportContent, language: Language): ReportDocument {
  const texts = REPORT_TEXTS[language];
  const { resultId, analysis, createdAt, summary, provenance } = content;
  return {
    language,
    title: texts.title[analysis] ?? texts.otherTitle,
    institution: content.institution,
    status: statusOf(content, texts),
    band: patientBand(content.attributes, texts),
    summary: { title: texts.summary, text: summary.text, critical: summary.critical ? texts.critical : undefined },
    warnings: warningsOf(provenance, language).map(({ text }) => text),
    tables: tablesOf(content, texts, language),
    pictures: content.pictures,
    comparison: content.comparison,
    notes: [modelNote(provenance, texts), ...readerNote(content, texts)],
    disclaimer: DISCLAIMER[language],
    footer: [
      `${texts.result} ${resultId} · ${texts.madeAt} ${timeText(createdAt)} · HealthVision ${provenance.software}`,
      `${texts.modelDigest} ${provenance.model.digest} · ${texts.inputDigest} ${provenance.inputDigest}`,
    ],
    words: { more: texts.more, page: texts.page, noPicture: texts.noPicture, unprintable: texts.unprintable },
  };
}

function statusOf({ status, review }: ReportContent, texts: ReportTexts): ReportDocument['status'] {
  const isFinal = status === 'final' || status === 'amended';
  const { text, explanation } = texts.status[status];
  if (status !== 'preliminary' || !review) return { text, explanation, isFinal };
  return { text, explanation: review.signedVersion === null ? texts.reviewed : texts.reopened, isFinal };
}

/** Who stands for it, and that not all of the model's findings are there. */
function readerNote({ findings, review, signature }: ReportContent, texts: ReportTexts): ReportDocument['notes'] {
  const rejected = review ? review.findings.length - findings.length : 0;
  const lines = [...(signature ? [texts.signedBy(signature.name, timeText(signature.at))] : []), ...(rejected > 0 ? [texts.rejected(rejected)] : [])];
  return lines.length === 0 ? [] : [{ title: signature ? texts.signed : texts.review, lines }];
}

function tablesOf({ analysis, findings, labels, segments, review }: ReportContent, texts: ReportTexts, language: Language): ReportTable[] {
  const found = findings.filter(({ kind }) => kind !== 'label');
  const tables: ReportTable[] = [];
  // A finding of a classification is a label that is positive, which the labels tell.
  if (labels.length === 0 || found.length > 0) tables.push(findingsTable(found, review !== undefined, texts, language));
  if (labels.length > 0) tables.push(labelsTable(labels, texts, language));
  // Of nodules each is a finding, and its segment would say the same again.
  if (segments.length > 0 && analysis !== 'lung-nodule-detection') tables.push(segmentsTable(segments, texts, language));
  return tables;
}

/** @param isReviewed  whether there is a column for what a reader made of them */
function findingsTable(findings: readonly Finding[], isReviewed: boolean, texts: ReportTexts, language: Language): ReportTable {
  return {
    title: texts.findings,
    columns: [
      { label: texts.number, share: 0.06 }, { label: texts.finding, share: 0.12 }, { label: texts.place, share: 0.13 },
      { label: texts.measurements, share: isReviewed ? 0.32 : 0.38 }, { label: texts.properties, share: isReviewed ? 0.18 : 0.22 }, { label: texts.score, share: 0.09 },
      ...(isReviewed ? [{ label: texts.review, share: 0.1 }] : []),
    ],
    rows: findings.map((finding, index) => ({
      cells: [String(index + 1), displayNameOf(finding.kind, language), placeText(finding, language), measurementsText(finding, language), propertiesText(finding, texts, language), scoreText(finding), ...(isReviewed ? [texts.reviews[finding.review?.state ?? 'none']] : [])],
      isStrong: false,
    })),
    empty: findings.length === 0 ? texts.noFindings : undefined,
  };
}

/** What a person added has no score of the model. */
function scoreText({ score, review }: Finding): string {
  return review?.state === 'added' ? '–' : percentText(score);
}

const PLACE = ['side', 'zone'];

function placeText({ attributes = [] }: Finding, language: Language): string {
  const parts = PLACE.flatMap((wanted) => attributes.filter(({ name }) => name === wanted).map((one) => attributeValueText(one, language)));
  return parts.length === 0 ? '–' : language === 'zh-CN' ? parts.join('') : sentenceCase(parts.join(' '));
}

function sentenceCase(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1).toLowerCase();
}

/** Measurements that belong to another one: the axes that a diameter is the mean of, and what stands across it. */
const ACROSS: Readonly<Record<string, string>> = { diameter: 'perpendicularDiameter', enhancingDiameter: 'enhancingPerpendicularDiameter' };
const AXES = ['longAxis', 'shortAxis'] as const;

/** "Diameter 8.4 mm (9.1 × 7.7); Volume 310 mm³", "Diameter 96.8 × 52.0 mm". */
function measurementsText({ measurements }: Finding, language: Language): string {
  const valueOf = (wanted: string): number | undefined => measurements.find(({ name, unit }) => name === wanted && unit === 'mm')?.value;
  const [long, short] = AXES.map(valueOf);
  const hasAxes = valueOf('diameter') !== undefined && long !== undefined && short !== undefined;
  const told = new Set<string>([...(hasAxes ? AXES : []), ...Object.entries(ACROSS).flatMap(([along, across]) => (valueOf(along) === undefined || valueOf(across) === undefined ? [] : [across]))]);
  const texts = measurements.filter(({ name }) => !told.has(name)).map((one) => {
    const across = one.unit === 'mm' ? valueOf(ACROSS[one.name] ?? '') : undefined;
    if (across !== undefined) return `${propertyName(one.name, language)} ${one.value.toFixed(1)} × ${across.toFixed(1)} mm`;
    return measurementText(one, language) + (one.name === 'diameter' && hasAxes ? ` (${long.toFixed(1)} × ${short.toFixed(1)})` : '');
  });
  return joined(texts, language);
}

function propertiesText({ attributes = [] }: Finding, texts: ReportTexts, language: Language): string {
  return joined(attributes.filter(({ name }) => !PLACE.includes(name)).map((one) => (one.name === 'attenuation' ? attributeValueText(one, language) : `${propertyName(one.name, language)}${texts.colon}${attributeValueText(one, language)}`)), language);
}

function joined(texts: readonly string[], language: Language): string {
  return texts.length === 0 ? '–' : texts.join(language === 'zh-CN' ? '；' : '; ');
}

function labelsTable(labels: readonly Label[], texts: ReportTexts, language: Language): ReportTable {
  return {
    title: texts.labels,
    columns: [{ label: texts.label, share: 0.4 }, { label: texts.probability, share: 0.2 }, { label: texts.threshold, share: 0.2 }, { label: texts.verdict, share: 0.2 }],
    rows: labels.map((label) => ({ cells: [displayNameOf(label.name, language), percentText(label.probability), percentText(label.threshold), verdictText(label, texts)], isStrong: label.positive })),
    empty: undefined,
  };
}

/** As it stands: where a reader says otherwise, the threshold decides nothing. */
function verdictText({ positive, review }: Label, texts: ReportTexts): string {
  if (review?.state === 'disagreed') return positive ? texts.readerPresent : texts.readerAbsent;
  return (positive ? texts.above : texts.below) + (review ? texts.separator + texts.agreed : '');
}

function segmentsTable(segments: readonly Segment[], texts: ReportTexts, language: Language): ReportTable {
  return {
    title: texts.segments,
    columns: [{ label: texts.segment, share: 0.7 }, { label: texts.volume, share: 0.3 }],
    rows: segments.map(({ name, volumeMl, review }) => ({ cells: [displayNameOf(name, language), valueText({ value: volumeMl, unit: 'ml' }) + (review?.state === 'disagreed' ? texts.separator + texts.disagreed : '')], isStrong: false })),
    empty: undefined,
  };
}

function modelNote({ model, executionProvider }: Provenance, texts: ReportTexts): { title: string; lines: string[] } {
  const { domain } = model;
  const scope = domain && [domain.modalities.join('/'), domain.bodyParts.join('/'), ...(domain.ageYears ? [texts.ages(domain.ageYears.min, domain.ageYears.max)] : [])].join(texts.separator);
  return {
    title: texts.model,
    lines: [
      `${model.name} ${model.version} (${executionProvider})`,
      ...(model.intendedUse === undefined ? [] : [`${texts.intendedUse}${texts.colon}${model.intendedUse}`]),
      ...(scope === undefined ? [] : [`${texts.domain}${texts.colon}${scope}`]),
      texts.limits,
    ],
  };
}

/** "2026-11-21 10:00 UTC". */
export function timeText(at: Date): string {
  return `${at.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}
