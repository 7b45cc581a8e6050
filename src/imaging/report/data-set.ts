import dcmjs from 'dcmjs';
import { AppError } from '../../kernel/errors.js';
import { IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME } from '../dicom/implementation.js';
import type { DicomJson, DicomJsonElement, DicomJsonValue, PersonName } from '../dicom/dicom-json.js';
import { dictionaryVr, tagOf } from '../dicom/dictionary.js';
import { EXPLICIT_LITTLE } from '../dicom/transfer-syntax.js';
import { decimalString } from '../dicom/write-data-set.js';

/** Values by keyword of PS3.6: a list of objects is a sequence, an empty list or text an empty element; `undefined` leaves an element out. */
// An interface, since a type alias may not refer to itself through a Record.
// eslint-disable-next-line @typescript-eslint/consistent-indexed-object-style
export interface Fields {
  [keyword: string]: string | number | PersonName | undefined | readonly (string | number)[] | readonly Fields[];
}

/** Fields as a data set in the DICOM JSON model. Attributes that may be US or SS become US. */
export function dataSetOf(fields: Fields): DicomJson {
  const json: DicomJson = {};
  for (const [keyword, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    const tag = tagOf(keyword);
    // Array.isArray does not narrow a readonly list; an object that stands alone is a name.
    const values = Array.isArray(value) ? (value as readonly (string | number | Fields)[]).filter((entry) => entry !== '').map((entry): DicomJsonValue => (typeof entry === 'object' ? dataSetOf(entry) : entry)) : value === '' ? [] : [value as string | number | PersonName];
    json[tag] = { vr: dictionaryVr(Number.parseInt(tag, 16), false), ...(values.length > 0 && { Value: values }) };
  }
  return json;
}

const SPECIFIC_CHARACTER_SET = tagOf('SpecificCharacterSet');
const UTF_8 = 'ISO_IR 192';

/**
 * A Part 10 file in explicit little endian, text in UTF-8. dcmjs builds the bytes.
 *
 * @param pixels  Pixel Data of at most 8 bits a sample; of even length
 * @throws AppError `invalid-dicom` when a value cannot be written
 * @see PS3.10 §7
 */
export function part10File(attributes: DicomJson, identity: { sopClassUid: string; sopInstanceUid: string }, pixels?: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const file = new dcmjs.data.DicomDict(dictOf({
    ...dataSetOf({
      MediaStorageSOPClassUID: identity.sopClassUid,
      MediaStorageSOPInstanceUID: identity.sopInstanceUid,
      TransferSyntaxUID: EXPLICIT_LITTLE,
      ImplementationClassUID: IMPLEMENTATION_CLASS_UID,
      ImplementationVersionName: IMPLEMENTATION_VERSION_NAME,
    }),
    [tagOf('FileMetaInformationVersion')]: { vr: 'OB', InlineBinary: 'AAE=' },
  }));
  file.dict = dictOf({ ...attributes, [SPECIFIC_CHARACTER_SET]: { vr: 'CS', Value: [UTF_8] } });
  if (pixels !== undefined) file.dict[tagOf('PixelData')] = { vr: 'OB', Value: [bufferOf(pixels)] };
  try {
    // What a source has is kept, also where it is longer than its VR allows.
    return new Uint8Array(file.write({ allowInvalidVRLength: true }));
  } catch {
    // dcmjs names the value in its messages, and a value may be a patient's name.
    throw new AppError('invalid-dicom', { detail: 'A value cannot be written' });
  }
}

/** Without a copy where the bytes are the whole of their buffer. */
function bufferOf(bytes: Uint8Array<ArrayBuffer>): ArrayBuffer {
  return bytes.length === bytes.buffer.byteLength ? bytes.buffer : bytes.slice().buffer;
}

/** As dcmjs wants it. It cuts off decimal numbers at sixteen characters, exponent and all, so that they are given as text. */
function dictOf(attributes: DicomJson): Record<string, unknown> {
  return Object.fromEntries(Object.keys(attributes).sort().map((tag) => [tag, elementOf(attributes[tag] ?? { vr: 'UN' })]));
}

function elementOf({ vr, Value = [], InlineBinary }: DicomJsonElement): { vr: string; Value: unknown[] } {
  if (InlineBinary !== undefined) return { vr, Value: [bufferOf(new Uint8Array(Buffer.from(InlineBinary, 'base64')))] };
  return { vr, Value: Value.map((value) => valueOf(vr, value)) };
}

function valueOf(vr: string, value: DicomJsonValue): unknown {
  if (vr === 'SQ') {
    // The values of SQ are items. Their text is in the character set of the whole.
    const { [SPECIFIC_CHARACTER_SET]: _, ...item } = (value ?? {}) as DicomJson;
    return dictOf(item);
  }
  if (vr === 'DS' && typeof value === 'number') return decimalString(value);
  // A tag is a number to dcmjs.
  if (vr === 'AT' && typeof value === 'string') return Number.parseInt(value, 16);
  if (vr === 'IS' && typeof value === 'number') return String(value);
  if (vr === 'PN' && value !== null && typeof value === 'object') return nameText(value);
  return value ?? '';
}

/** @see PS3.5 §6.2.1.1 for the component groups */
function nameText({ Alphabetic = '', Ideographic = '', Phonetic = '' }: PersonName): string {
  return [Alphabetic, Ideographic, Phonetic].join('=').replace(/=+$/, '');
}
