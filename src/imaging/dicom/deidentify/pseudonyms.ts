import { text, personName } from '../attributes.js';
import type { DicomJson } from '../dicom-json.js';

/** HMAC-SHA256 under the secret of a project: 32 bytes for any text. Passed in, since keys are not the business of imaging. */
export type Mac = (text: string) => Uint8Array;

/** What a project calls things. The same original always gets the same replacement; nobody without the secret finds the way back. */
export interface Pseudonyms {
  /** A UID under 2.25. @see PS3.5 B.2 */
  uid(original: string): string;
  patient(attributes: DicomJson): PatientPseudonym;
}

export interface PatientPseudonym {
  /** Patient ID and Patient's Name of the export. */
  id: string;
  /** How many days earlier everything happened. */
  daysEarlier: number;
}

/** Crockford's base 32: nothing that reads like a word, nothing that is mistaken for another character. */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const CODE_LENGTH = 12;
/** Ten years, so that the season and the time of the study stay unknown; never less than a month. */
const SHIFT_DAYS = { least: 30, range: 3653 };

/** @param project  stands before the code of a patient: letters, digits, blank, `_` and `-` */
export function pseudonymsOf(mac: Mac, project: string): Pseudonyms {
  const prefix = project.trim().replace(/[^A-Za-z0-9]+/g, '-').replace(/^-+|-+$/g, '').slice(0, 40).replace(/-+$/, '');
  return {
    uid: (original) => uidOf(mac(`uid\0${original}`)),
    patient: (attributes) => {
      const key = patientKey(attributes);
      const code = codeOf(mac(`patient\0${key}`));
      return { id: prefix === '' ? code : `${prefix}-${code}`, daysEarlier: SHIFT_DAYS.least + (wordOf(mac(`shift\0${key}`)) % SHIFT_DAYS.range) };
    },
  };
}

/** Whose images these are: by Patient ID; without one by name and birth date; without these nobody but the study itself. */
function patientKey(attributes: DicomJson): string {
  const id = (text(attributes, 'PatientID') ?? '').trim().normalize('NFC');
  if (id !== '') return `id\0${id}`;
  const name = personName(attributes, 'PatientName');
  const written = (name?.Alphabetic ?? name?.Ideographic ?? name?.Phonetic ?? '').trim().normalize('NFC');
  if (written !== '') return `name\0${written}\0${text(attributes, 'PatientBirthDate') ?? ''}`;
  return `study\0${text(attributes, 'StudyInstanceUID') ?? ''}`;
}

/** A version 8 UUID as a UID (RFC 9562 §5.8). */
function uidOf(digest: Uint8Array): string {
  const bytes = digest.slice(0, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  let number = 0n;
  for (const byte of bytes) number = (number << 8n) | BigInt(byte);
  return `2.25.${number.toString(10)}`;
}

/** 60 bits: two of a million patients share a code with a probability below one in two million. */
function codeOf(digest: Uint8Array): string {
  let code = '';
  for (const byte of digest.subarray(0, CODE_LENGTH)) code += ALPHABET.charAt(byte & 31);
  return code;
}

function wordOf(digest: Uint8Array): number {
  return new DataView(digest.buffer, digest.byteOffset, digest.byteLength).getUint32(0);
}
