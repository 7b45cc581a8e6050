import type { Language } from '../../../kernel/errors.js';
import type { Finding, Label, Segment } from '../finding.js';
import { attributeValueText, propertyName } from '../measurement-text.js';
import { attributeConcepts, conceptOf, measurementConcept, NAMES, PERCENT, PRIVATE_SCHEME, unitConcept, VALUES, type Concept } from '../sr/concepts.js';
import { displayNameOf, isNegativeLabel } from '../terms.js';
import { numeric, type Field } from './encode.js';

/** OBX-8, table 0078: critical, abnormal, not abnormal. */
type Flag = 'AA' | 'A' | 'N';

/** What one OBX says; its number and its status are the message's. */
export interface Observation {
  type: 'TX' | 'ST' | 'NM' | 'CE' | 'RP' | 'ED';
  code: Field;
  /** OBX-4: those of one finding have the same. */
  subId?: string;
  /** undefined: could not be obtained. */
  value: Field | undefined;
  unit?: Field;
  /** OBX-7: what is not abnormal. */
  range?: string;
  flag?: Flag;
}

const WORDS: Readonly<Record<Language, Readonly<Record<'finding' | 'certainty' | 'present' | 'absent' | 'segment' | 'volume' | 'source', string>>>> = {
  en: { finding: 'Finding', certainty: 'Certainty of Finding', present: 'Present', absent: 'Absent', segment: 'Segment', volume: 'Volume', source: 'Source image' },
  'zh-CN': { finding: '所见', certainty: '置信度', present: '有', absent: '无', segment: '分割区域', volume: '体积', source: '来源图像' },
};

/** CE: a code with the words of the reader's language. */
export function coded({ value, scheme, meaning }: Concept, words = meaning): Field {
  return [value, words, scheme];
}

/** A code of our own. */
export function ours(value: string, words: string): Field {
  return [value, words, PRIVATE_SCHEME];
}

/** All that was found and measured, and what the labels say. Sub-ids are `1`, `2`, … of findings, as reports number them, `L1`, … of labels and `S1`, … of segments. */
export function findingObservations({ findings, labels, segments }: { findings: readonly Finding[]; labels: readonly Label[]; segments: readonly Segment[] }, language: Language): Observation[] {
  // A finding of a classification is a label that is positive.
  const own = findings.filter(({ kind, code, score }) => kind !== 'label' || !labels.some((label) => label.code?.value === code.value && label.probability === score));
  return [
    ...own.flatMap((finding) => ofFinding(finding, String(findings.indexOf(finding) + 1), language)),
    ...labels.flatMap((label, index) => ofLabel(label, `L${String(index + 1)}`, language)),
    ...segments.filter(({ review }) => review?.state !== 'disagreed').flatMap(({ name, volumeMl }, index) => ofSegment(name, volumeMl, `S${String(index + 1)}`, language)),
  ];
}

function ofFinding({ kind, code, score, measurements, attributes = [], location, review }: Finding, subId: string, language: Language): Observation[] {
  const words = WORDS[language];
  return [
    { type: 'CE', code: coded(NAMES.finding, words.finding), subId, value: coded(conceptOf(code), displayNameOf(kind === 'label' ? code.meaning : kind, language)), flag: 'A' },
    // How sure the model was says nothing of what a person added.
    ...(review?.state === 'added' ? [] : [certainty(score, subId, language)]),
    ...measurements.map(({ name, value, unit }): Observation => ({
      type: 'NM', code: coded(measurementConcept(kind, name).name, propertyName(name, language)), subId, value: numeric(value), unit: coded(unitConcept(unit)),
    })),
    ...attributes.map((attribute): Observation => {
      const { name, value } = attributeConcepts(attribute);
      const shown = attributeValueText(attribute, language);
      return { type: typeof value === 'string' ? 'ST' : 'CE', code: coded(name, propertyName(attribute.name, language)), subId, value: typeof value === 'string' ? shown : coded(value, shown) };
    }),
    ...(location ? [{ type: 'ST' as const, code: coded(NAMES.sourceImage, words.source), subId, value: `${location.sopInstanceUid} ${String(location.frame)}` }] : []),
  ];
}

function ofLabel(label: Label, subId: string, language: Language): Observation[] {
  const { name, code, positive, probability, threshold, review } = label;
  const words = WORDS[language];
  return [
    {
      type: 'CE', code: coded(code ? conceptOf(code) : labelConcept(name), displayNameOf(name, language)), subId,
      value: positive ? coded(VALUES.present, words.present) : coded(VALUES.absent, words.absent), flag: positive && !isNegativeLabel(name) ? 'A' : 'N',
    },
    // Neither does it of what a person turned round.
    ...(review?.state === 'disagreed' ? [] : [{ ...certainty(probability, subId, language), range: `<${numeric(threshold * 100) ?? ''}` }]),
  ];
}

function ofSegment(name: string, volumeMl: number, subId: string, language: Language): Observation[] {
  const { segment, volume } = WORDS[language];
  return [
    { type: 'ST', code: coded(NAMES.segment, segment), subId, value: displayNameOf(name, language) },
    { type: 'NM', code: coded(measurementConcept('segment', 'volume').name, volume), subId, value: numeric(volumeMl), unit: coded(unitConcept('ml')) },
  ];
}

function certainty(share: number, subId: string, language: Language): Observation {
  return { type: 'NM', code: coded(NAMES.certainty, WORDS[language].certainty), subId, value: numeric(share * 100), unit: coded(PERCENT) };
}

/** A label without a code has its name for one. */
function labelConcept(name: string): Concept {
  return conceptOf({ system: PRIVATE_SCHEME, value: name, meaning: name });
}
