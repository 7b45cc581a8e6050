import { personName, text } from '../../dicom/attributes.js';
import type { DicomJson } from '../../dicom/dicom-json.js';
import { fhirDate } from '../fhir/dates.js';
import { segment, type Field } from './encode.js';

const EAST_ASIAN = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]/u;
/** Codes of PS3.3 C.7.1.1 that table 0001 has, too. */
const SEXES: ReadonlySet<string> = new Set(['M', 'F', 'O']);

/** PID: whom it is about. @see HL7 v2.5.1 3.4.2 */
export function patientSegment(attributes: DicomJson): string {
  const sex = valueOf(attributes, 'PatientSex').toUpperCase();
  return segment('PID', {
    1: '1',
    3: [valueOf(attributes, 'PatientID'), '', '', valueOf(attributes, 'IssuerOfPatientID'), 'PI'],
    5: { repeated: namesOf(attributes) },
    7: fhirDate(text(attributes, 'PatientBirthDate'))?.replaceAll('-', '') ?? '',
    8: SEXES.has(sex) ? sex : 'U',
  });
}

/** A value of one line; empty when the object does not say. */
export function valueOf(attributes: DicomJson, keyword: string): string {
  return text(attributes, keyword)?.trim() ?? '';
}

/**
 * XPN for each component group: alphabetic, ideographic, phonetic. A first group in Chinese, Japanese or Korean script, as many devices write it, is ideographic.
 *
 * @see PS3.5 §6.2.1.1 (prefix before suffix) and HL7 v2.5.1 2.A.88 (suffix before prefix), table 0465
 */
function namesOf(attributes: DicomJson): Field[] {
  const { Alphabetic = '', Ideographic = '', Phonetic = '' } = personName(attributes, 'PatientName') ?? {};
  const groups = [[Alphabetic, EAST_ASIAN.test(Alphabetic) ? 'I' : 'A'], [Ideographic, 'I'], [Phonetic, 'P']] as const;
  return groups.flatMap(([group, representation]) => {
    const [family = '', given = '', middle = '', prefix = '', suffix = ''] = group.split('^').map((part) => part.trim());
    return [family, given, middle, prefix, suffix].join('') === '' ? [] : [[family, given, middle, suffix, prefix, '', 'L', representation]];
  });
}
