import type { Language } from '../../kernel/errors.js';
import { changedFirst, comparisonText, TREND_WORDS } from './comparison-text.js';
import type { Change, Comparable, ComparedFinding, Comparison } from './comparison.js';
import { COMPARISON_TEXTS, type ComparisonTexts } from './comparison-report-texts.js';
import type { ReportComparison, ReportPicture, ReportTable } from './document.js';
import type { Finding } from './finding.js';
import { measurementText, propertyName, valueText } from './measurement-text.js';
import { isNegativeLabel, displayNameOf } from './terms.js';

/** What a comparison with an earlier study is told from. */
export interface ComparedStudies {
  analysis: string;
  /** Of the earlier study. */
  priorAt: Date;
  days: number;
  sameModel: boolean;
  current: Comparable;
  prior: Comparable;
  /** Whether places could be set against each other. */
  isAligned: boolean;
  /** null while the images are still to be aligned. */
  comparison: Comparison | null;
}

/** What became of the findings, for a report: a sentence and a line for each of them, those that changed first. */
export function composeComparison(studies: ComparedStudies, picture: ReportPicture | undefined, language: Language): ReportComparison {
  const texts = COMPARISON_TEXTS[language];
  const { analysis, priorAt, days, sameModel, current, prior, isAligned, comparison } = studies;
  const title = texts.title(priorAt.toISOString().slice(0, 10), days);
  if (!comparison) return { title, lines: [texts.pending] };
  const hasPlaces = [...current.findings, ...prior.findings].some(({ location }) => location?.center !== undefined);
  const rows = [
    ...findingRows(comparison, studies, language),
    // Of nodules each is a finding, and its segment would say the same again.
    ...(analysis === 'lung-nodule-detection' ? [] : segmentRows(comparison, language)),
    ...labelRows(comparison, studies, language),
  ];
  const lines = [
    ...(hasPlaces ? [isAligned ? comparisonText(comparison, language) : texts.notAligned] : []),
    ...(!hasPlaces && rows.length === 0 ? [texts.nothing] : []),
    ...(sameModel ? [] : [texts.otherModel]),
  ];
  return { title, lines, ...(rows.length > 0 && { table: table(rows, texts) }), ...(picture && { picture }) };
}

function table(rows: ReportTable['rows'], { then, columns: [number, what, change, values] }: ComparisonTexts): ReportTable {
  return { title: then, columns: [{ label: number, share: 0.06 }, { label: what, share: 0.3 }, { label: change, share: 0.14 }, { label: values, share: 0.5 }], rows, empty: undefined };
}

function findingRows({ findings }: Comparison, { current, prior }: ComparedStudies, language: Language): ReportTable['rows'] {
  // As the table of findings counts them.
  const numbers = new Map(current.findings.filter(({ kind }) => kind !== 'label').map(({ id }, index) => [id, String(index + 1)]));
  return changedFirst(findings).map((one) => ({
    cells: [numbers.get(one.current ?? '') ?? '–', displayNameOf(one.kind, language), TREND_WORDS[language][one.trend], findingText(one, current, prior, language)], isStrong: one.trend !== 'stable',
  }));
}

/** Of what is new or gone there is one side only. */
function findingText(compared: ComparedFinding, current: Comparable, prior: Comparable, language: Language): string {
  const sizeOf = ({ findings }: Comparable, id: string | null): string => {
    const { measurements = [] } = findings.find((one) => one.id === id) ?? {};
    const [size] = TOLD.flatMap((wanted) => measurements.filter(({ name }) => name === wanted));
    return size ? measurementText(size, language) : '–';
  };
  if (compared.trend === 'new') return `– → ${sizeOf(current, compared.current)}`;
  return compared.trend === 'gone' ? `${sizeOf(prior, compared.prior)} → –` : measuredText(compared, language);
}

/** What a growth is told by. */
const TOLD: readonly Finding['measurements'][number]['name'][] = ['diameter', 'volume'];

function measuredText({ measurements, volumeDoublingDays }: ComparedFinding, language: Language): string {
  const texts = TOLD.flatMap((wanted) => measurements.filter(({ name }) => name === wanted)).map(({ name, unit, ...change }) => `${propertyName(name, language)} ${changeText(change, (value) => valueText({ value, unit }), language)}`);
  if (volumeDoublingDays !== undefined) texts.push(COMPARISON_TEXTS[language].doubling(volumeDoublingDays));
  return texts.length === 0 ? '–' : texts.join(language === 'zh-CN' ? '；' : '; ');
}

function segmentRows({ segments }: Comparison, language: Language): ReportTable['rows'] {
  return segments.map(({ name, ...change }) => ({ cells: ['', displayNameOf(name, language), '', changeText(change, (value) => valueText({ value, unit: 'ml' }), language)], isStrong: false }));
}

/** Labels that are positive in one of the studies, as they stand there: where a reader disagrees, the number is not told. */
function labelRows({ labels }: Comparison, { current, prior }: ComparedStudies, language: Language): ReportTable['rows'] {
  const texts = COMPARISON_TEXTS[language];
  const told = (one: Comparable, name: string): { text: string; isPositive: boolean } => {
    const label = one.labels.find((candidate) => candidate.name === name);
    const isPositive = label?.positive ?? false;
    return { text: `${isPositive ? texts.present : texts.absent}${label && label.review?.state !== 'disagreed' ? ` (${String(Math.round(label.probability * 100))} %)` : ''}`, isPositive };
  };
  return labels.filter(({ name }) => !isNegativeLabel(name)).flatMap(({ name }) => {
    const [before, now] = [told(prior, name), told(current, name)];
    if (!before.isPositive && !now.isPositive) return [];
    const trend = before.isPositive === now.isPositive ? '' : TREND_WORDS[language][now.isPositive ? 'new' : 'gone'];
    return [{ cells: ['', displayNameOf(name, language), trend, `${before.text} → ${now.text}`], isStrong: trend !== '' }];
  });
}

/** "8.0 mm → 10.4 mm (+30 %)". */
function changeText({ prior, current, changePercent }: Change, textOf: (value: number) => string, language: Language): string {
  const [open, close] = language === 'zh-CN' ? ['（', '）'] : [' (', ')'];
  const percent = changePercent === null ? '' : `${open}${changePercent > 0 ? '+' : changePercent < 0 ? '−' : '±'}${String(Math.round(Math.abs(changePercent)))} %${close}`;
  return `${textOf(prior)} → ${textOf(current)}${percent}`;
}
