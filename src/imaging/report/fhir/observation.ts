import type { CodeableConcept, Coding, Observation, ObservationComponent, Reference } from '@medplum/fhirtypes';
import type { Attribute, Finding, Label } from '../finding.js';
import { attributeValueText, propertyName } from '../measurement-text.js';
import { isNegativeLabel, displayNameOf } from '../terms.js';
import { warningsOf } from '../warnings.js';
import { ABSENT, bodySite, CERTAINTY, codingOf, concept, DCM, plain, PRESENT, quantityCode, UCUM, ucumOf } from './codes.js';
import { fhirDate } from './dates.js';
import { deviceReference } from './device.js';
import { versioned, type FhirReader, type FhirResultSource } from './result-source.js';
import { subjectOf } from './subject.js';

const INTERPRETATION = 'http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation';
export const OBSERVATION_CATEGORY: Coding = { system: 'http://terminology.hl7.org/CodeSystem/observation-category', code: 'imaging', display: 'Imaging' };
const LABEL_ID = /^(.+)\.label\.(0|[1-9]\d{0,3})$/;

/** What an Observation says: a finding, a label, or a finding that a label is. */
interface Statement {
  id: string;
  finding: Finding | undefined;
  label: Label | undefined;
}

/** Of a label that no finding stands for: it belongs to its result, by its place. */
export function labelObservationId(resultId: string, index: number): string {
  return `${resultId}.label.${String(index)}`;
}

/** Whose label an id names; undefined when it is the id of no label. */
export function resultOfLabelObservation(id: string): string | undefined {
  return LABEL_ID.exec(id)?.[1];
}

/** One for each finding, and for each label that is no finding: those say what is absent. */
function statementsOf({ id, findings, labels }: FhirResultSource): Statement[] {
  const rest = labels.map((label, index) => ({ label, index }));
  const found = findings.map((finding): Statement => {
    // A finding of a classification is a label that is positive.
    const at = finding.kind === 'label' ? rest.findIndex(({ label }) => label.code?.value === finding.code.value && label.probability === finding.score) : -1;
    const [own] = at < 0 ? [] : rest.splice(at, 1);
    return { id: finding.id, finding, label: own?.label };
  });
  return [...found, ...rest.map(({ label, index }): Statement => ({ id: labelObservationId(id, index), finding: undefined, label }))];
}

export function observationIds(result: FhirResultSource): string[] {
  return statementsOf(result).map(({ id }) => id);
}

/** What tells one Observation of a result from the others. */
export type ObservationMark = Required<Pick<Observation, 'id' | 'code'>> & { isOfModel: boolean };

/** What a result found and did not find, each on its own. @param wanted  which of them are made; all without it */
export function fhirObservations(result: FhirResultSource, reader: FhirReader, wanted: (mark: ObservationMark) => boolean = () => true): Observation[] {
  return statementsOf(result).flatMap((statement) => {
    const code = codeOf(statement, reader);
    return wanted({ id: statement.id, code, isOfModel: isOfModel(statement) }) ? [observationOf(result, statement, code, reader)] : [];
  });
}

/** What a reader added is nothing that the model found. */
function isOfModel({ finding }: Statement): boolean {
  return finding?.review?.state !== 'added';
}

function codeOf({ finding, label }: Statement, { language }: FhirReader): CodeableConcept {
  const words = label?.name ?? (finding?.kind === 'label' ? finding.code.meaning : finding?.kind) ?? '';
  return named((finding && codingOf(finding.code)) ?? (label?.code && codingOf(label.code)), displayNameOf(words, language));
}

function observationOf(result: FhirResultSource, statement: Statement, code: CodeableConcept, { language }: FhirReader): Observation {
  const { study, analysis } = result;
  const { id, finding, label } = statement;
  // How sure the model was says nothing of what a person says instead.
  const isOfPerson = !isOfModel(statement) || label?.review?.state === 'disagreed';
  const positive = label?.positive ?? true;
  const effective = fhirDate(study.studyDate);
  const certainty = label?.probability ?? finding?.score;
  const warnings = isOfPerson ? [] : warningsOf(result.provenance, language);
  const component = [
    ...(certainty === undefined || isOfPerson ? [] : [percentage(concept(CERTAINTY, language === 'zh-CN' ? '置信度' : 'Certainty'), certainty)]),
    ...(label && !isOfPerson ? [percentage({ text: language === 'zh-CN' ? '阈值' : 'Threshold' }, label.threshold)] : []),
    ...(finding?.measurements ?? []).map(({ name, value, unit }) => measurement(name, value, unit, language)),
    ...(finding?.attributes ?? []).map((attribute) => attributeComponent(attribute, language)),
    ...places(finding),
  ];
  return {
    resourceType: 'Observation', id, meta: versioned(result), language,
    status: result.status,
    category: [{ coding: [OBSERVATION_CATEGORY] }],
    code,
    ...(study.patientId !== null && { subject: subjectOf(study.patientId) }),
    ...(effective !== undefined && { effectiveDateTime: effective }),
    issued: result.createdAt.toISOString(),
    valueCodeableConcept: presence(positive, language),
    interpretation: [interpretation(positive && !(label !== undefined && isNegativeLabel(label.name)))],
    ...bodySiteOf(analysis, finding, language),
    method: { text: METHODS[language][isOfPerson ? 'person' : 'model'] },
    ...(isOfModel(statement) && { device: deviceReference(result.provenance.model) }),
    derivedFrom: [{ reference: `ImagingStudy/${study.id}` }],
    ...(warnings.length > 0 && { note: warnings.map(({ text }) => ({ text })) }),
    ...(component.length > 0 && { component }),
  };
}

const METHODS: Readonly<Record<FhirReader['language'], Readonly<Record<'model' | 'person', string>>>> = {
  en: { model: 'Image analysis by an AI model', person: 'Read by a person' },
  'zh-CN': { model: '人工智能图像分析', person: '人工阅片' },
};

/** `code` is required: without a code it is at least a word. */
function named(coding: Coding | undefined, text: string): CodeableConcept {
  const code = concept(coding, text);
  return code.coding || code.text !== undefined ? code : { text: 'finding' };
}

function presence(positive: boolean, language: FhirReader['language']): CodeableConcept {
  const [yes, no] = language === 'zh-CN' ? ['有', '无'] : ['Present', 'Absent'];
  return concept(positive ? PRESENT : ABSENT, positive ? yes : no);
}

function interpretation(positive: boolean): CodeableConcept {
  return { coding: [positive ? { system: INTERPRETATION, code: 'POS', display: 'Positive' } : { system: INTERPRETATION, code: 'NEG', display: 'Negative' }] };
}

function bodySiteOf(analysis: string, finding: Finding | undefined, language: FhirReader['language']): Pick<Observation, 'bodySite'> {
  const valueOf = (name: string): string | undefined => finding?.attributes?.find((attribute) => attribute.name === name)?.value;
  const side = valueOf('side');
  const coding = bodySite(analysis, side);
  const text = [side, valueOf('zone')].filter((word) => word !== undefined).map((word) => displayNameOf(word, language)).join(language === 'zh-CN' ? '' : ', ');
  const site = concept(coding, text);
  return site.coding || site.text !== undefined ? { bodySite: site } : {};
}

/** 0–1 as percent, to four digits. */
function percentage(code: CodeableConcept, value: number): ObservationComponent {
  return { code, valueQuantity: { value: Number((value * 100).toPrecision(6)), unit: '%', system: UCUM, code: '%' } };
}

function measurement(name: string, value: number, unit: string, language: FhirReader['language']): ObservationComponent {
  const code = named(quantityCode(name), propertyName(name, language));
  const ucum = ucumOf(unit);
  const shown = plain(unit);
  if (!Number.isFinite(value)) return { code, dataAbsentReason: { coding: [{ system: 'http://terminology.hl7.org/CodeSystem/data-absent-reason', code: 'not-a-number', display: 'Not a Number (NaN)' }] } };
  return { code, valueQuantity: { value, ...(shown !== undefined && { unit: shown }), ...(ucum !== undefined && { system: UCUM, code: ucum }) } };
}

function attributeComponent({ name, value, concept: asked, code }: Attribute, language: FhirReader['language']): ObservationComponent {
  return {
    code: named(asked && codingOf(asked), propertyName(name, language)),
    valueCodeableConcept: named(code && codingOf(code), attributeValueText({ value }, language)),
  };
}

/** R4 has no place in an image: the frame and the point, in words. */
function places(finding: Finding | undefined): ObservationComponent[] {
  const { location } = finding ?? {};
  if (!location) return [];
  const { center, frameOfReferenceUid } = location;
  return [
    { code: concept({ system: DCM, code: '121324', display: 'Source image' }, 'Source image'), valueString: `${location.sopInstanceUid} frame ${String(location.frame)}` },
    ...(center ? [{ code: { text: 'Centre (x, y, z; LPS, mm)' }, valueString: center.join(', ') }] : []),
    ...(center && frameOfReferenceUid !== undefined ? [{ code: concept({ system: DCM, code: '112227', display: 'Frame of Reference UID' }, 'Frame of Reference UID'), valueString: frameOfReferenceUid }] : []),
  ];
}

/** Only for callers that point to one. */
export function observationReference(id: string): Reference<Observation> {
  return { reference: `Observation/${id}` };
}
