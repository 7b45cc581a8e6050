import type { Language } from '../../kernel/errors.js';
import { ownEntry } from '../../kernel/own-entry.js';
import type { Finding, Label, Segment } from './finding.js';
import { displayNameOf, isNegativeLabel } from './terms.js';

/** What a summary is composed from. */
export interface SummaryContent {
  analysis: string;
  findings: readonly Finding[];
  labels: readonly Label[];
  segments: readonly Segment[];
}

const NOTHING: Readonly<Record<string, Readonly<Record<Language, string>>>> = {
  'chest-xray-classification': { en: 'No finding above its threshold', 'zh-CN': '未见超过阈值的所见' },
  'lung-nodule-detection': { en: 'No nodule found', 'zh-CN': '未发现结节' },
  'brain-tumour-segmentation': { en: 'No tumour found', 'zh-CN': '未发现肿瘤' },
};

/**
 * One sentence that a worklist can show: "Pneumonia 93 %, Effusion 71 %", "2 nodules, largest 8.4 mm (right upper)".
 * Composed from the structured content at every reading, so that each language says the same.
 */
export function summaryText(content: SummaryContent, language: Language): string {
  const chinese = language === 'zh-CN';
  const comma = chinese ? '，' : ', ';
  const parts = [
    ...kindsOf(content.findings).map((group) => countText(group, language)),
    // A person who says so says it for certain.
    ...positiveLabels(content.labels).map(({ name, probability, review }) => (review?.state === 'disagreed' ? displayNameOf(name, language) : `${displayNameOf(name, language)} ${percentText(probability)}`)),
    ...content.segments.filter(({ review }) => review?.state !== 'disagreed').map(({ name, volumeMl }) => `${displayNameOf(name, language)} ${decimal(volumeMl)} mL`),
  ];
  if (parts.length > 0) return parts.join(comma);
  return NOTHING[content.analysis]?.[language] ?? (chinese ? '未见异常所见' : 'No finding');
}

/** Labels over their threshold, most probable first; "No Finding" is not one. */
export function positiveLabels(labels: readonly Label[]): Label[] {
  return labels.filter(({ name, positive }) => positive && !isNegativeLabel(name)).sort((a, b) => b.probability - a.probability);
}

/** The label that says most: the most probable one that is not "No Finding". */
export function topLabel(labels: readonly Label[]): Label | undefined {
  const speaking = labels.filter(({ name }) => !isNegativeLabel(name));
  return (speaking.length > 0 ? speaking : [...labels]).sort((a, b) => b.probability - a.probability)[0];
}

/** "93 %"; a probability is never shown as certain. */
export function percentText(probability: number): string {
  if (probability > 0.99) return '>99 %';
  if (probability < 0.01) return '<1 %';
  return `${String(Math.round(probability * 100))} %`;
}

interface Kind {
  kind: string;
  findings: Finding[];
}

function kindsOf(findings: readonly Finding[]): Kind[] {
  const kinds = new Map<string, Finding[]>();
  // A label says its own name below; its finding says where.
  for (const finding of findings.filter(({ kind }) => kind !== 'label')) kinds.set(finding.kind, [...(kinds.get(finding.kind) ?? []), finding]);
  return [...kinds].map(([kind, group]) => ({ kind, findings: group }));
}

function countText({ kind, findings }: Kind, language: Language): string {
  const count = findings.length;
  const [largest] = findings.flatMap((finding) => sizeOf(finding)).sort((a, b) => b.diameter - a.diameter);
  if (language === 'zh-CN') {
    const text = `${String(count)} 个${displayNameOf(kind, language)}`;
    if (largest === undefined) return text;
    const size = `${decimal(largest.diameter)} mm${largest.place === undefined ? '' : `（${placeText(largest.place, language)}）`}`;
    return count === 1 ? `${text}，直径 ${size}` : `${text}，最大直径 ${size}`;
  }
  const text = `${String(count)} ${pluralOf(kind.replaceAll(/[\s_]+/g, ' '), count)}`;
  if (largest === undefined) return text;
  const size = `${decimal(largest.diameter)} mm${largest.place === undefined ? '' : ` (${placeText(largest.place, language)})`}`;
  return count === 1 ? `${text}, ${size}` : `${text}, largest ${size}`;
}

interface Place {
  side: string;
  zone: string;
}

function sizeOf({ measurements, attributes = [] }: Finding): { diameter: number; place: Place | undefined }[] {
  const valueOf = (wanted: string): string | undefined => attributes.find(({ name }) => name === wanted)?.value;
  const [side, zone] = [valueOf('side'), valueOf('zone')];
  const place = side === undefined || zone === undefined ? undefined : { side, zone };
  return measurements.filter(({ name, unit }) => name === 'diameter' && unit === 'mm').map(({ value }) => ({ diameter: value, place }));
}

const CHINESE_PLACES: Readonly<Record<string, string>> = { right: '右肺', left: '左肺', upper: '上野', middle: '中野', lower: '下野' };

/** "right upper": zones are thirds of a lung, not lobes. */
function placeText({ side, zone }: Place, language: Language): string {
  return language === 'zh-CN' ? `${ownEntry(CHINESE_PLACES, side) ?? side}${ownEntry(CHINESE_PLACES, zone) ?? zone}` : `${side} ${zone}`;
}

function pluralOf(noun: string, count: number): string {
  if (count === 1) return noun;
  return /(s|x|ss)$/.test(noun) ? `${noun}es` : `${noun}s`;
}

function decimal(value: number): string {
  return value.toFixed(1).replace(/\.0$/, '');
}
