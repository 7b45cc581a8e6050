import type { DicomJson } from '../../imaging/dicom/dicom-json.js';
import { AppError } from '../../kernel/errors.js';

/** What PostgreSQL's jsonb refuses: the null character and halves of surrogate pairs. */
const UNSTORABLE = /\\u0000|\\ud[89a-f]/i;

/** jsonb has limits of its own, and the database holds several copies of a value while it stores it. */
const MAX_JSON_BYTES = 32 << 20;

/**
 * The data set as JSON text that jsonb takes; damaged characters of damaged files become U+FFFD.
 *
 * @throws AppError `invalid-dicom` beyond 32 MiB of UTF-8
 */
export function storableJson(attributes: DicomJson): string {
  const json = JSON.stringify(attributes);
  // JSON.stringify escapes exactly these, so a clean text, which nearly all are, needs no second pass.
  const storable = UNSTORABLE.test(json) ? JSON.stringify(attributes, (_key, value: unknown) => (typeof value === 'string' ? storableText(value) : value)) : json;
  if (Buffer.byteLength(storable) > MAX_JSON_BYTES) throw new AppError('invalid-dicom', { detail: 'The values of the data set are too many to be stored' });
  return storable;
}

/** Text that a column of PostgreSQL takes. */
export function storableText(text: string): string {
  // Node 20 has the method, the ES2023 library of TypeScript does not know it.
  return (text as unknown as { toWellFormed(): string }).toWellFormed().replaceAll('\0', '');
}

/** Longer than any DA, TM, CS or UI: what a column with an index takes. */
const LONGEST_WORD = 64;

/** A word for a column, or null when there is none or it is no word; it is in the sealed attributes then. */
export function storableWord(text: string | undefined): string | null {
  if (text === undefined || text === '' || text.length > LONGEST_WORD) return null;
  return storableText(text);
}
