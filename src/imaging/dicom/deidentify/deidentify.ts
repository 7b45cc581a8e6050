import type { DicomJson, DicomJsonElement, DicomJsonValue } from '../dicom-json.js';
import type { BulkDataEntry, ParsedInstance } from '../header.js';
import { isBinaryVr } from '../values.js';
import { earlierDate, earlierDateTime, timeOfDay } from './dates.js';
import { deidentificationMarks } from './deidentification-marks.js';
import { cleanDescriptor } from './descriptors.js';
import { dummySequence, dummyValue } from './dummy-values.js';
import { identifyingValues, type IdentifyingValues } from './identifying-values.js';
import { isKeptBinary, isPublicCodingScheme } from './kept-attributes.js';
import { objectKindOf } from './object-kinds.js';
import { pixelPlanOf, type PixelPlan } from './pixel-plan.js';
import type { PatientPseudonym, Pseudonyms } from './pseudonyms.js';
import { Refusal } from './refusal.js';
import { treatmentOf, type DeidentificationOptions, type Fallback, type Treatment } from './treatment.js';

/** How often each thing was done to an element; a sequence that was removed counts once. */
export interface Tally {
  removed: number;
  privateRemoved: number;
  unknownRemoved: number;
  emptied: number;
  replaced: number;
  cleaned: number;
  uidsReplaced: number;
  datesShifted: number;
  /** Emptied because a name or an identifier of this data set was found in what the profile keeps. */
  residualEmptied: number;
}

export interface DeidentifiedInstance {
  patient: PatientPseudonym;
  sopClassUid: string;
  studyInstanceUid: string;
  seriesInstanceUid: string;
  sopInstanceUid: string;
  /** Up to the pixel data. What `bulk` lists has a VR and no value. */
  attributes: DicomJson;
  /** Values that are kept as they lie in the original, by path. */
  bulk: ReadonlyMap<string, BulkDataEntry>;
  pixels: PixelPlan;
  tally: Tally;
}

const PATIENT_NAME = '00100010';
const PATIENT_ID = '00100020';
const SPECIFIC_CHARACTER_SET = '00080005';
const CODE_VALUES = new Set(['00080100', '00080102', '00080103', '00080119']);
const CODE_MEANING = '00080104';
const DICOM_ROOT = '1.2.840.10008.';
/** Device names and code meanings are shorter. */
const LONGEST_TECHNICAL_TEXT = 1024;
/** Without these nobody can read the image; what they say is defined by the standard. Group 0028 besides. */
const STRUCTURE = new Set(['00080008', '00080016', '00080060', '00185100']);
const COPIED_NUMBERS = new Set(['US', 'SS', 'UL', 'SL', 'UV', 'SV', 'FL', 'FD', 'AT']);

/**
 * De-identifies one instance by the Basic Application Level Confidentiality Profile and the options, at every depth; then looks
 * in all that is left for the names and identifiers of the original, and empties what holds them.
 *
 * @throws Refusal for what cannot be de-identified; AppError of `describePixels`
 * @see PS3.15 Annex E
 */
export function deidentify(parsed: ParsedInstance, options: DeidentificationOptions, pseudonyms: Pseudonyms): DeidentifiedInstance {
  const kind = objectKindOf(parsed.sopClassUid);
  if (parsed.attributes['00420011'] !== undefined) throw new Refusal('encapsulated-document');
  const pixels = pixelPlanOf(parsed, kind, options.cleanPixelData);
  const patient = pseudonyms.patient(parsed.attributes);
  const work = new Deidentification(parsed, options, pseudonyms, patient);
  const attributes: DicomJson = {
    ...work.item(parsed.attributes, ''),
    [PATIENT_NAME]: { vr: 'PN', Value: [{ Alphabetic: patient.id }] },
    [PATIENT_ID]: { vr: 'LO', Value: [patient.id] },
    ...deidentificationMarks(options, pixels.kind !== 'none'),
  };
  return {
    patient, attributes, pixels,
    sopClassUid: parsed.sopClassUid,
    studyInstanceUid: work.uid(parsed.studyInstanceUid),
    seriesInstanceUid: work.uid(parsed.seriesInstanceUid),
    sopInstanceUid: work.uid(parsed.sopInstanceUid),
    bulk: work.bulk,
    tally: work.tally,
  };
}

/** An empty tally, to add others to. */
export function emptyTally(): Tally {
  return { removed: 0, privateRemoved: 0, unknownRemoved: 0, emptied: 0, replaced: 0, cleaned: 0, uidsReplaced: 0, datesShifted: 0, residualEmptied: 0 };
}

/** The walk over one data set, and what it found. */
class Deidentification {
  readonly tally = emptyTally();
  readonly bulk = new Map<string, BulkDataEntry>();
  private readonly elsewhere: ReadonlyMap<string, BulkDataEntry>;
  private readonly identifying: IdentifyingValues;

  constructor(
    parsed: ParsedInstance,
    private readonly options: DeidentificationOptions,
    private readonly pseudonyms: Pseudonyms,
    private readonly patient: PatientPseudonym,
  ) {
    this.elsewhere = new Map(parsed.bulkData.map((entry) => [entry.path, entry]));
    this.identifying = identifyingValues(parsed.attributes);
  }

  uid(original: string): string {
    const trimmed = original.trim();
    // What the standard itself names: classes, syntaxes, well-known frames of reference and templates.
    return trimmed.startsWith(DICOM_ROOT) ? trimmed : this.pseudonyms.uid(trimmed);
  }

  item(attributes: DicomJson, path: string): DicomJson {
    const out: DicomJson = {};
    const scheme = attributes['00080102']?.Value?.[0];
    const publicCode = typeof scheme === 'string' && isPublicCodingScheme(scheme);
    for (const [tag, element] of Object.entries(attributes)) {
      if (tag === SPECIFIC_CHARACTER_SET) continue;
      const treated = this.element(tag, element, path, publicCode);
      if (treated !== null) out[tag] = treated;
    }
    return out;
  }

  private element(tag: string, element: DicomJsonElement, path: string, publicCode: boolean): DicomJsonElement | null {
    if (tag === PATIENT_NAME || tag === PATIENT_ID) return this.replacedBy(tag === PATIENT_ID ? { vr: 'LO', Value: [this.patient.id] } : { vr: 'PN', Value: [{ Alphabetic: this.patient.id }] });
    const treatment = this.treatment(tag, element, publicCode);
    if (treatment.action !== 'remove' && this.elsewhere.has(path + tag)) return this.left(tag, element, path, treatment);
    switch (treatment.action) {
      case 'remove':
        return this.removed(treatment.why);
      case 'empty':
        return this.emptied(element);
      case 'replace':
        return this.replaced(tag, element, path);
      case 'map-uid':
        return this.mapped(element);
      case 'shift-date':
        return this.shifted(tag, element, path, treatment.fallback);
      case 'clean-text':
        return this.cleaned(tag, element, path, treatment.fallback);
      case 'recurse':
        return element.vr === 'SQ' ? this.sequence(tag, element, path) : this.removed('profile');
      case 'keep':
        return this.kept(tag, element, publicCode);
    }
  }

  private treatment(tag: string, { vr }: DicomJsonElement, publicCode: boolean): Treatment {
    // The words of a code that a department made up are a description like any other.
    if (tag === CODE_MEANING && !publicCode) return this.options.cleanDescriptors ? { action: 'clean-text', fallback: 'replace' } : { action: 'replace' };
    return treatmentOf(tag, vr, this.options);
  }

  private removed(why: 'profile' | 'private' | 'unknown'): null {
    if (why === 'private') this.tally.privateRemoved++;
    else if (why === 'unknown') this.tally.unknownRemoved++;
    else this.tally.removed++;
    return null;
  }

  private emptied({ vr }: DicomJsonElement): DicomJsonElement {
    this.tally.emptied++;
    return { vr };
  }

  private replacedBy(element: DicomJsonElement): DicomJsonElement {
    this.tally.replaced++;
    return element;
  }

  private replaced(tag: string, element: DicomJsonElement, path: string): DicomJsonElement | null {
    if (isEmpty(element)) return { vr: element.vr };
    if (element.vr === 'SQ') {
      const dummy = dummySequence(tag);
      if (dummy === 'recurse') return this.sequence(tag, element, path);
      return dummy === 'remove' ? this.removed('profile') : this.replacedBy(dummy);
    }
    const dummy = dummyValue(element.vr);
    return dummy === undefined ? this.removed('profile') : this.replacedBy(dummy);
  }

  private fallBack(tag: string, element: DicomJsonElement, path: string, fallback: Fallback): DicomJsonElement | null {
    if (fallback === 'remove') return this.removed('profile');
    return fallback === 'empty' ? this.emptied(element) : this.replaced(tag, element, path);
  }

  private mapped({ Value = [] }: DicomJsonElement): DicomJsonElement {
    if (Value.length === 0) return { vr: 'UI' };
    this.tally.uidsReplaced++;
    return { vr: 'UI', Value: Value.map((value) => (typeof value === 'string' ? this.uid(value) : null)) };
  }

  private shifted(tag: string, element: DicomJsonElement, path: string, fallback: Fallback): DicomJsonElement | null {
    const { vr, Value = [] } = element;
    if (Value.length === 0) return { vr };
    const days = this.patient.daysEarlier;
    const shift = (text: string): string | undefined => (vr === 'TM' ? timeOfDay(text) : vr === 'DA' ? earlierDate(text, days) : earlierDateTime(text, days));
    const values = Value.map((value) => (typeof value === 'string' ? (shift(value) ?? null) : null));
    if (values.every((value) => value === null)) return this.fallBack(tag, element, path, fallback);
    this.tally.datesShifted++;
    return { vr, Value: values };
  }

  private cleaned(tag: string, element: DicomJsonElement, path: string, fallback: Fallback): DicomJsonElement | null {
    const { vr, Value = [] } = element;
    if (Value.length === 0) return { vr };
    const values = Value.map((value) => (typeof value === 'string' ? cleanDescriptor(value, this.identifying) || null : null));
    if (values.every((value) => value === null)) return this.fallBack(tag, element, path, fallback);
    this.tally.cleaned++;
    return { vr, Value: values };
  }

  private sequence(tag: string, { Value = [] }: DicomJsonElement, path: string): DicomJsonElement {
    if (Value.length === 0) return { vr: 'SQ' };
    // The values of SQ are items; the reader writes nothing else there.
    return { vr: 'SQ', Value: Value.map((item, index) => this.item(item as DicomJson, `${path}${tag}/${String(index)}/`)) };
  }

  /** A value that the reader left in the file: samples are kept there; what would have to be looked into is not. */
  private left(tag: string, element: DicomJsonElement, path: string, treatment: Treatment): DicomJsonElement | null {
    const entry = this.elsewhere.get(path + tag);
    if (element.vr === 'SQ' && (treatment.action === 'recurse' || (treatment.action === 'replace' && dummySequence(tag) === 'recurse'))) throw new Refusal('not-readable-in-full');
    if (treatment.action === 'keep' && entry !== undefined && ((isBinaryVr(element.vr) && isKeptBinary(tag)) || COPIED_NUMBERS.has(element.vr))) {
      this.bulk.set(entry.path, entry);
      return { vr: element.vr };
    }
    if (treatment.action === 'empty') return this.emptied(element);
    const dummy = treatment.action === 'replace' || ('fallback' in treatment && treatment.fallback === 'replace') ? dummyValue(element.vr) : undefined;
    return dummy === undefined ? this.removed('profile') : this.replacedBy(dummy);
  }

  private kept(tag: string, element: DicomJsonElement, publicCode: boolean): DicomJsonElement | null {
    const { vr, Value = [], InlineBinary } = element;
    if (vr === 'PN' || vr === 'UR' || vr === 'SQ') return this.removed('profile');
    if (isBinaryVr(vr)) {
      if (InlineBinary !== undefined && this.identifying.areIn(Buffer.from(InlineBinary, 'base64').toString('latin1'))) return this.residual(vr);
      return isKeptBinary(tag) ? element : this.removed('profile');
    }
    if (Value.length === 0) return { vr };
    const values = Value.map((value) => (isWellFormed(vr, value) ? value : null));
    if (values.every((value) => value === null)) return this.removed('profile');
    if (!isExempt(tag, vr, publicCode) && values.some((value) => this.names(value))) return this.residual(vr);
    return { vr, Value: values };
  }

  /** Numbers are identifiers as a whole or not at all: coordinates have any digits. */
  private names(value: DicomJsonValue): boolean {
    if (typeof value === 'number') return Number.isInteger(value) && Math.abs(value) >= 10_000 && this.identifying.includes(String(value));
    return typeof value === 'string' && this.identifying.areIn(value);
  }

  /** Empty, not gone: most attributes of devices are of type 2. */
  private residual(vr: string): DicomJsonElement {
    this.tally.residualEmptied++;
    return { vr };
  }
}

function isEmpty({ Value = [], InlineBinary }: DicomJsonElement): boolean {
  return Value.length === 0 && InlineBinary === undefined;
}

/** What the standard defines is no text about anybody, and the image depends on it. */
function isExempt(tag: string, vr: string, publicCode: boolean): boolean {
  return STRUCTURE.has(tag) || vr === 'AT' || vr === 'UI' || (tag.startsWith('0028') && vr !== 'LO' && vr !== 'SH') || (publicCode && CODE_VALUES.has(tag));
}

/** Senders hide words where a number or a code belongs. */
function isWellFormed(vr: string, value: DicomJsonValue): boolean {
  switch (vr) {
    case 'DS':
    case 'IS':
      return typeof value === 'number';
    case 'AS':
      return typeof value === 'string' && /^\d{3}[DWMY]$/.test(value);
    case 'CS':
      return typeof value === 'string' && /^[\w .+*/-]{1,16}$/.test(value);
    case 'UI':
      return typeof value === 'string' && /^\d+(\.\d+)+$/.test(value);
    default:
      return typeof value !== 'string' || value.length <= LONGEST_TECHNICAL_TEXT;
  }
}
