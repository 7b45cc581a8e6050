import type { DicomJson } from '../../imaging/dicom/dicom-json.js';

/** What PostgreSQL's jsonb refuses: the null character and halves of surrogate pairs. */
const UNSTORABLE = /\\u0000|\\ud[89a-f]/i;

/** The data set as JSON text that jsonb takes; damaged characters of damaged files become U+FFFD. */
export function storableJson(attributes: DicomJson): string {
  const json = JSON.stringify(attributes);
  // JSON.stringify escapes exactly these, so a clean text, which nearly all are, needs no second pass.
  return UNSTORABLE.test(json) ? JSON.stringify(attributes, (_key, value: unknown) => (typeof value === 'string' ? storableText(value) : value)) : json;
}

/** Text that a column of PostgreSQL takes. */
export function storableText(text: string): string {
  // Node 20 has the method, the ES2023 library of TypeScript does not know it.
  return (text as unknown as { toWellFormed(): string }).toWellFormed().replaceAll('\0', '');
}
