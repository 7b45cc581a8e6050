import { AppError } from '../../kernel/errors.js';
import type { DicomJson, DicomJsonElement, DicomJsonValue } from './dicom-json.js';
import { isKnownVr } from './elements.js';
import { InlineBudget } from './inline-budget.js';
import { isBinaryVr } from './values.js';

/** Sequences in sequences, as `ElementWalker` takes them. */
const MAX_DEPTH = 32;
const TAG = /^[0-9A-Fa-f]{8}$/;
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;
/** Of 64 bits; much longer ones would be slow to convert. */
const INTEGER = /^-?\d{1,20}$/;
const DECIMAL = /^-?\d{1,40}(?:\.\d{1,40})?(?:[Ee][+-]?\d{1,3})?$/;
const COMPONENT_GROUPS = new Set(['Alphabetic', 'Ideographic', 'Phonetic']);
/** JSON has no NaN. PS3.18 F.2.3 */
const NO_NUMBERS = new Set(['NaN', 'inf', '-inf']);

/**
 * A data set that came as JSON from outside, checked so far that it can be written: every value has the type that its VR has in
 * JSON, and there are no more elements, and no deeper ones, than a file may have. Takes time and memory linear in what there is.
 *
 * @param json  parsed
 * @returns the data set with tags in upper case; values that are no items are those of `json`
 * @throws AppError `invalid-dicom`
 * @see PS3.18 Annex F
 */
export function readDicomJson(json: unknown): DicomJson {
  return readDataSet(json, 0, new InlineBudget());
}

function readDataSet(json: unknown, depth: number, budget: InlineBudget): DicomJson {
  if (!isObject(json)) throw invalid('A data set or an item is no object');
  const dataSet: DicomJson = {};
  for (const [tag, element] of Object.entries(json)) {
    if (!TAG.test(tag)) throw invalid('A key is no tag');
    budget.countElement();
    dataSet[tag.toUpperCase()] = readElement(element, depth, budget);
  }
  return dataSet;
}

function readElement(json: unknown, depth: number, budget: InlineBudget): DicomJsonElement {
  if (!isObject(json)) throw invalid('An element is no object');
  const { vr, Value, InlineBinary, BulkDataURI } = json;
  if (typeof vr !== 'string' || !isKnownVr(vr)) throw invalid('An element has no VR');
  return {
    vr,
    ...(Value !== undefined && { Value: readValues(vr, Value, depth, budget) }),
    ...(InlineBinary !== undefined && { InlineBinary: readInline(vr, InlineBinary) }),
    ...(BulkDataURI !== undefined && { BulkDataURI: readUri(BulkDataURI) }),
  };
}

function readValues(vr: string, values: unknown, depth: number, budget: InlineBudget): DicomJsonValue[] {
  if (!Array.isArray(values)) throw invalid('A Value is no array');
  if (vr !== 'SQ') {
    const fits = typeOf(vr);
    for (const value of values as unknown[]) if (value !== null && !fits(value)) throw invalid(`A value does not fit the VR ${vr}`);
    // Just checked, one by one.
    return values as DicomJsonValue[];
  }
  if (depth >= MAX_DEPTH) throw invalid('Sequences are nested too deeply');
  return (values as unknown[]).map((item) => {
    budget.countElement();
    return readDataSet(item, depth + 1, budget);
  });
}

/** Whether a value has the type that values of the VR have, or is a number written as text, as dcmjs does. @see PS3.18 Table F.2.3-1 */
function typeOf(vr: string): (value: unknown) => boolean {
  if (isBinaryVr(vr)) return () => false;
  switch (vr) {
    case 'FD': case 'FL': return (value) => isNumber(value) || (isText(value) && (NO_NUMBERS.has(value) || DECIMAL.test(value)));
    case 'DS': case 'IS': return (value) => isNumber(value) || isText(value);
    case 'SL': case 'SS': case 'SV': case 'UL': case 'US': case 'UV': return (value) => isNumber(value) || (isText(value) && INTEGER.test(value));
    case 'AT': return (value) => isText(value) && TAG.test(value);
    // Drafts of the standard had names as texts, and so have clients.
    case 'PN': return (value) => isText(value) || isName(value);
    default: return isText;
  }
}

function readInline(vr: string, value: unknown): string {
  if (!isBinaryVr(vr) || !isText(value) || value.length % 4 !== 0 || !BASE64.test(value)) throw invalid('An InlineBinary is no base64 of a binary VR');
  return value;
}

function readUri(value: unknown): string {
  if (!isText(value)) throw invalid('A BulkDataURI is no text');
  return value;
}

function isName(value: unknown): boolean {
  return isObject(value) && Object.entries(value).every(([group, text]) => COMPONENT_GROUPS.has(group) && isText(text));
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number';
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function invalid(detail: string): AppError {
  return new AppError('invalid-dicom', { detail });
}
