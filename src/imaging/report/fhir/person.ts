import type { HumanName } from '@medplum/fhirtypes';
import type { PersonName } from '../../dicom/dicom-json.js';
import { plain } from './codes.js';

/** @see https://hl7.org/fhir/R4/extension-iso21090-en-representation.html */
const REPRESENTATION = 'http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation';
const EAST_ASIAN = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]/u;

/**
 * A DICOM name as FHIR has it: one for each component group, marked as alphabetic, ideographic or phonetic. A first group in
 * Chinese, Japanese or Korean script, as many devices write it, is ideographic.
 *
 * @see PS3.5 §6.2.1.1
 */
export function humanNames({ Alphabetic, Ideographic, Phonetic }: PersonName): HumanName[] {
  return [
    nameOf(Alphabetic, EAST_ASIAN.test(Alphabetic ?? '') ? 'IDE' : 'ABC'),
    nameOf(Ideographic, 'IDE'),
    nameOf(Phonetic, 'SYL'),
  ].filter((name) => name !== undefined);
}

function nameOf(group: string | undefined, representation: 'ABC' | 'IDE' | 'SYL'): HumanName | undefined {
  const [family, given, middle, prefix, suffix] = (group ?? '').split('^').map(plain);
  const words = representation === 'IDE' ? [family, given, middle] : [prefix, given, middle, family, suffix];
  const text = plain(words.filter((word) => word !== undefined).join(representation === 'IDE' ? '' : ' '));
  const givens = [given, middle].filter((word) => word !== undefined);
  if (text === undefined) return undefined;
  return {
    extension: [{ url: REPRESENTATION, valueCode: representation }],
    text,
    ...(family !== undefined && { family }),
    ...(givens.length > 0 && { given: givens }),
    ...(prefix !== undefined && { prefix: [prefix] }),
    ...(suffix !== undefined && { suffix: [suffix] }),
  };
}
