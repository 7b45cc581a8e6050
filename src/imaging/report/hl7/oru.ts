import type { Language } from '../../../kernel/errors.js';
import type { DicomJson } from '../../dicom/dicom-json.js';
import { fhirDateTime } from '../fhir/dates.js';
import { DISCLAIMER, type Finding, type Label, type Provenance, type Segment } from '../finding.js';
import { dcm, NAMES, subjectOf, type Concept } from '../sr/concepts.js';
import { isNegativeLabel } from '../terms.js';
import { warningsOf } from '../warnings.js';
import { CHARACTER_SET_CODES, type CharacterSetName } from './character-set.js';
import { headerSegment, segment, timestamp } from './encode.js';
import { coded, findingObservations, ours, type Observation } from './observations.js';
import { patientSegment, valueOf } from './patient.js';

/** From whom to whom, and how. */
export interface OruAddress {
  sendingApplication: string;
  sendingFacility: string;
  receivingApplication: string;
  receivingFacility: string;
  characterSet: CharacterSetName;
  /** MSH-11: production, training, debugging. */
  processingId: 'P' | 'T' | 'D';
  language: Language;
}

/** One version of a result, with what its images say of patient and study. Holds PHI. */
export interface OruSource {
  /** MSH-10, at most 20 characters: the same for every try. */
  controlId: string;
  sentAt: Date;
  resultId: string;
  analysis: string;
  studyInstanceUid: string;
  status: 'preliminary' | 'final' | 'amended';
  /** When this version was made. */
  madeAt: Date;
  /** In the language of the address. */
  summary: string;
  critical: boolean;
  findings: readonly Finding[];
  labels: readonly Label[];
  segments: readonly Segment[];
  model: Pick<Provenance['model'], 'name' | 'version'>;
  outOfDistribution?: Provenance['outOfDistribution'];
  attributes: DicomJson;
  signedBy: { id: string; name: string } | null;
  /** Of the report as a page; undefined where nobody knows the address of the installation. */
  reportUrl: string | undefined;
  pdf: Uint8Array | undefined;
}

/** OBR-25 and OBX-11. @see HL7 v2.5.1 tables 0123 and 0085 */
const STATUSES: Readonly<Record<OruSource['status'], string>> = { preliminary: 'P', final: 'F', amended: 'C' };
/** MSH-19. */
const LANGUAGES: Readonly<Record<Language, readonly string[]>> = { en: ['en', 'English', 'ISO639'], 'zh-CN': ['zh', 'Chinese', 'ISO639'] };

const IMPRESSION: Concept = { value: '19005-8', scheme: 'LN', meaning: 'Radiology Imaging study [Impression]' };
const REPORT: Concept = { value: '18748-4', scheme: 'LN', meaning: 'Diagnostic imaging study' };
const STUDY = dcm('113014', 'DICOM Study');
const PROCEDURE_DESCRIPTION = dcm('121065', 'Procedure Description');

/**
 * A result as ORU^R01 of HL7 v2.5.1: segments that end in a carriage return each. It tells all that the version says: a receiver replaces what it has under the same OBR-3.
 *
 * @see HL7 v2.5.1 chapter 7.3.1
 */
export function oruMessage(source: OruSource, address: OruAddress): string {
  const status = STATUSES[source.status];
  const observations = observationsOf(source, address.language);
  return [
    headerOf(source, address),
    patientSegment(source.attributes),
    segment('PV1', { 1: '1', 2: 'U' }),
    ...orderOf(source, address),
    ...[DISCLAIMER[address.language], ...warningsOf(source, address.language).map(({ text }) => text)].map((note, index) => segment('NTE', { 1: String(index + 1), 2: 'L', 3: note })),
    ...observations.map(({ type, code, subId, value, unit, range, flag }, index) => segment('OBX', {
      1: String(index + 1), 2: type, 3: code, 4: subId, 5: value, 6: unit, 7: range, 8: flag, 11: value === undefined ? 'X' : status,
    })),
  ].map((line) => `${line}\r`).join('');
}

function headerOf({ controlId, sentAt }: OruSource, { sendingApplication, sendingFacility, receivingApplication, receivingFacility, characterSet, processingId, language }: OruAddress): string {
  return headerSegment({
    3: sendingApplication, 4: sendingFacility, 5: receivingApplication, 6: receivingFacility, 7: timestamp(sentAt), 9: ['ORU', 'R01', 'ORU_R01'], 10: controlId, 11: processingId, 12: '2.5.1',
    18: CHARACTER_SET_CODES[characterSet], 19: LANGUAGES[language],
  });
}

/** ORC and OBR: what was ordered, as far as the images say, and what answers it. */
function orderOf({ resultId, analysis, status, madeAt, attributes, signedBy }: OruSource, { sendingApplication }: OruAddress): string[] {
  const accession = valueOf(attributes, 'AccessionNumber');
  const placer = valueOf(attributes, 'PlacerOrderNumberImagingServiceRequest') || accession;
  const filler = [resultId, sendingApplication];
  const { procedure } = subjectOf(analysis);
  return [
    segment('ORC', { 1: 'RE', 2: placer, 3: filler, 5: status === 'preliminary' ? 'IP' : 'CM' }),
    segment('OBR', {
      1: '1', 2: placer, 3: filler, 4: [procedure.value, procedure.meaning, procedure.scheme, analysis, analysis, '99HV'],
      7: studyTime(attributes), 18: accession, 22: timestamp(madeAt), 24: 'RAD', 25: STATUSES[status],
      32: signedBy ? [[signedBy.id, signedBy.name]] : undefined,
    }),
  ];
}

/** TS of the study; with its offset from UTC where the object says it, else in the time of the place. */
function studyTime(attributes: DicomJson): string {
  const [date = '', time = ''] = (fhirDateTime(valueOf(attributes, 'StudyDate'), valueOf(attributes, 'StudyTime'), '+0000') ?? '').split('T');
  const [offset = ''] = /^[+-](0\d|1[0-4])[0-5]\d$/.exec(valueOf(attributes, 'TimezoneOffsetFromUTC')) ?? [];
  return date.replaceAll('-', '') + (time === '' ? '' : time.slice(0, 8).replaceAll(':', '') + offset);
}

function observationsOf(source: OruSource, language: Language): Observation[] {
  const { studyInstanceUid, summary, critical, findings, labels, model, attributes, reportUrl, pdf } = source;
  const isAbnormal = findings.length > 0 || labels.some(({ name, positive }) => positive && !isNegativeLabel(name));
  const description = valueOf(attributes, 'StudyDescription');
  return [
    { type: 'ST', code: coded(STUDY), value: studyInstanceUid },
    ...(description === '' ? [] : [{ type: 'ST' as const, code: coded(PROCEDURE_DESCRIPTION), value: description }]),
    { type: 'TX', code: coded(IMPRESSION), value: summary, flag: critical ? 'AA' : isAbnormal ? 'A' : 'N' },
    ...findingObservations(source, language),
    { type: 'ST', code: coded(NAMES.algorithmName), value: model.name },
    { type: 'ST', code: coded(NAMES.algorithmVersion), value: model.version },
    ...(reportUrl === undefined ? [] : [{ type: 'RP' as const, code: ours('REPORT-LINK', language === 'zh-CN' ? '报告链接' : 'Link to the report'), value: [reportUrl, '', 'text', 'html'] }]),
    ...(pdf ? [{ type: 'ED' as const, code: coded(REPORT), value: ['', 'application', 'pdf', 'Base64', Buffer.from(pdf).toString('base64')] }] : []),
  ];
}
