import type { Language } from '../../kernel/errors.js';
import { changedFirst, comparisonText, TREND_WORDS } from './comparison-text.js';
import type { Change, Comparable, ComparedFinding, Comparison } from './comparison.js';
import { COMPARISON_TEXTS, type ComparisonTexts } from './comparison-report-texts.js';
import type { ReportComparison, ReportPicture, ReportTable } from './document.js';
import type { Finding } from './finding.js';
import { measurementText, propertyName, valueText } from './measurement-text.js';
import { percentText } from './summary.js';
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
  const places = placesText({ current, prior, isAligned, comparison }, language);
  const rows = [
    ...findingRows(comparison, studies, language),
    // Of nodules each is a finding, and its segment would say the same again.
    ...(analysis === 'lung-nodule-detection' ? [] : segmentRows(comparison, language)),
    ...labelRows(comparison, studies, language),
  ];
  const lines = [
    ...(places === undefined ? [] : [places]),
    ...(places === undefined && rows.length === 0 ? [texts.nothing] : []),
    ...(sameModel ? [] : [texts.otherModel]),
  ];
  return { title, lines, ...(rows.length > 0 && { table: table(rows, texts) }), ...(picture && { picture }) };
}

type Compared = Pick<ComparedStudies, 'current' | 'prior' | 'isAligned'> & { comparison: Comparison };

/** The same in one sentence: "1 grown, 2 stable", "Pneumonia: present → absent". */
export function comparisonSummary(compared: Compared, language: Language): string {
  const places = placesText(compared, language);
  if (places !== undefined) return places;
  const [colon, comma] = language === 'zh-CN' ? ['：', '，'] : [': ', ', '];
  const { present, absent } = COMPARISON_TEXTS[language];
  const labels = standingLabels(compared.comparison, compared).map(({ name, before, now }) => `${displayNameOf(name, language)}${colon}${before ? present : absent} → ${now ? present : absent}`);
  return labels.length > 0 ? labels.join(comma) : comparisonText(compared.comparison, language);
}

/** What became of findings with a place; that it is not known, where places could not be set against each other; undefined where there are none. */
function placesText({ current, prior, isAligned, comparison }: Compared, language: Language): string | undefined {
  if (![...current.findings, ...prior.findings].some(({ location }) => location?.center !== undefined)) return undefined;
  return isAligned ? comparisonText(comparison, language) : COMPARISON_TEXTS[language].notAligned;
}

/** Labels that are positive in one of the studies, as they stand there. */
function standingLabels({ labels }: Comparison, { current, prior }: Pick<ComparedStudies, 'current' | 'prior'>): { name: string; before: boolean; now: boolean }[] {
  const isPositive = (one: Comparable, name: string): boolean => one.labels.find((label) => label.name === name)?.positive ?? false;
  return labels.filter(({ name }) => !isNegativeLabel(name)).map(({ name }) => ({ name, before: isPositive(prior, name), now: isPositive(current, name) })).filter(({ before, now }) => before || now);
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

/** Where a reader disagrees, the number is not told. */
function labelRows(comparison: Comparison, studies: ComparedStudies, language: Language): ReportTable['rows'] {
  const texts = COMPARISON_TEXTS[language];
  const told = ({ labels }: Comparable, name: string, isPositive: boolean): string => {
    const label = labels.find((candidate) => candidate.name === name);
    return `${isPositive ? texts.present : texts.absent}${label && label.review?.state !== 'disagreed' ? ` (${percentText(label.probability)})` : ''}`;
  };
  return standingLabels(comparison, studies).map(({ name, before, now }) => {
    const trend = before === now ? '' : TREND_WORDS[language][now ? 'new' : 'gone'];
    return { cells: ['', displayNameOf(name, language), trend, `${told(studies.prior, name, before)} → ${told(studies.current, name, now)}`], isStrong: trend !== '' };
  });
}

/** "8.0 mm → 10.4 mm (+30 %)". */
function changeText({ prior, current, changePercent }: Change, textOf: (value: number) => string, language: Language): string {
  const [open, close] = language === 'zh-CN' ? ['（', '）'] : [' (', ')'];
  const percent = changePercent === null ? '' : `${open}${changePercent > 0 ? '+' : changePercent < 0 ? '−' : '±'}${String(Math.round(Math.abs(changePercent)))} %${close}`;
  return `${textOf(prior)} → ${textOf(current)}${percent}`;
}
