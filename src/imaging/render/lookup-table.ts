import { AppError } from '../../kernel/errors.js';
import { binary, numbers } from '../dicom/attributes.js';
import type { DicomJson } from '../dicom/dicom-json.js';

/** Entry `i` belongs to the input `first + i`; inputs beyond either end take the nearest entry. */
export interface LookupTable {
  first: number;
  entries: Uint16Array;
  bits: number;
}

/**
 * Reads a LUT from its descriptor and its data.
 *
 * @param signed  the inputs are signed, which decides how the first mapped value reads
 * @throws AppError `invalid-dicom` when descriptor and data do not fit
 * @see PS3.3 C.11.1.1.1
 */
export function readLookupTable(attributes: DicomJson, descriptorKeyword: string, dataKeyword: string, signed: boolean): LookupTable {
  const { count, first, bits } = readDescriptor(attributes, descriptorKeyword, signed);
  const entries = entriesOf(attributes, dataKeyword, count, bits);
  return { first, entries, bits };
}

export function readDescriptor(attributes: DicomJson, keyword: string, signed: boolean): { count: number; first: number; bits: number } {
  const [count, first, bits] = numbers(attributes, keyword);
  if (count === undefined || first === undefined || bits === undefined || bits < 1 || bits > 16) throw invalid(`${keyword} is not valid`);
  return {
    // 0 stands for 65,536; a descriptor that was read as signed shows large counts as negative.
    count: count === 0 ? 65_536 : count < 0 ? count + 65_536 : count,
    first: signed && first > 32_767 ? first - 65_536 : first,
    bits,
  };
}

export function lookUp(table: LookupTable, value: number): number {
  const index = Math.min(Math.max(Math.round(value) - table.first, 0), table.entries.length - 1);
  return table.entries[index] ?? 0;
}

function entriesOf(attributes: DicomJson, keyword: string, count: number, bits: number): Uint16Array {
  const bytes = binary(attributes, keyword);
  if (bytes === undefined) {
    const values = numbers(attributes, keyword);
    if (values.length === 0) throw invalid(`${keyword} is missing`);
    if (values.length >= count) return Uint16Array.from(values.slice(0, count));
    // 8-bit entries packed in pairs into words.
    if (bits <= 8 && values.length * 2 >= count) return Uint16Array.from({ length: count }, (_, i) => ((values[i >> 1] ?? 0) >> (8 * (i & 1))) & 0xff);
    throw invalid(`${keyword} is shorter than its descriptor says`);
  }
  if (bytes.length >= count * 2) return words(bytes).subarray(0, count);
  if (bits <= 8 && bytes.length >= count) return Uint16Array.from(bytes.subarray(0, count));
  throw invalid(`${keyword} is shorter than its descriptor says`);
}

export function words(bytes: Uint8Array): Uint16Array {
  const out = new Uint16Array(bytes.length >> 1);
  for (let i = 0; i < out.length; i++) out[i] = (bytes[2 * i] ?? 0) | ((bytes[2 * i + 1] ?? 0) << 8);
  return out;
}

function invalid(detail: string): AppError {
  return new AppError('invalid-dicom', { detail });
}
