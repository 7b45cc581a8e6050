import type { DicomJson, DicomJsonValue, PersonName } from './dicom-json.js';
import { tagOf } from './dictionary.js';

function values(json: DicomJson, tagOrKeyword: string): DicomJsonValue[] {
  return json[tagOf(tagOrKeyword)]?.Value ?? [];
}

/** The first value as text; numbers are written out, names give their first component group. */
export function text(json: DicomJson, tagOrKeyword: string): string | undefined {
  return strings(json, tagOrKeyword)[0];
}

/** All values as text; empty ones are left out. */
export function strings(json: DicomJson, tagOrKeyword: string): string[] {
  const out: string[] = [];
  for (const value of values(json, tagOrKeyword)) {
    if (typeof value === 'string') out.push(value);
    else if (typeof value === 'number') out.push(String(value));
    else if (value !== null && isPersonName(value)) out.push(value.Alphabetic ?? value.Ideographic ?? value.Phonetic ?? '');
  }
  return out;
}

/** The first value as a finite number. */
export function number(json: DicomJson, tagOrKeyword: string): number | undefined {
  return numbers(json, tagOrKeyword)[0];
}

/** All values as numbers; an empty list when one of them is not a finite number. */
export function numbers(json: DicomJson, tagOrKeyword: string): number[] {
  const out: number[] = [];
  for (const value of values(json, tagOrKeyword)) {
    const parsed = typeof value === 'number' ? value : typeof value === 'string' && value.trim() !== '' ? Number(value) : Number.NaN;
    if (!Number.isFinite(parsed)) return [];
    out.push(parsed);
  }
  return out;
}

/** The first person name with its component groups. */
export function personName(json: DicomJson, tagOrKeyword: string): PersonName | undefined {
  const value = values(json, tagOrKeyword)[0];
  return value !== undefined && value !== null && typeof value === 'object' && isPersonName(value) ? value : undefined;
}

/** The items of a sequence. */
export function sequence(json: DicomJson, tagOrKeyword: string): DicomJson[] {
  const element = json[tagOf(tagOrKeyword)];
  if (element?.vr !== 'SQ') return [];
  // The values of SQ are items; the reader writes nothing else there.
  return (element.Value ?? []).filter((item) => item !== null && typeof item === 'object') as DicomJson[];
}

/** The bytes of a binary value that was kept inline, little endian. */
export function binary(json: DicomJson, tagOrKeyword: string): Uint8Array | undefined {
  const inline = json[tagOf(tagOrKeyword)]?.InlineBinary;
  return inline === undefined ? undefined : new Uint8Array(Buffer.from(inline, 'base64'));
}

function isPersonName(value: DicomJsonValue): value is PersonName {
  return value !== null && typeof value === 'object' && !Object.values(value).some((part) => typeof part === 'object');
}

const AGE_UNITS: Record<string, number> = { Y: 1, M: 1 / 12, W: 7 / 365.25, D: 1 / 365.25 };

/**
 * The patient's age in years at the time of the study: Patient's Age (0010,1010), else from the birth date
 * and the date of study, series, acquisition or content.
 *
 * @see PS3.5 §6.2, AS
 */
export function ageYears(json: DicomJson): number | undefined {
  const match = /^(\d{1,3})\s*([YMWD])$/i.exec(text(json, 'PatientAge')?.trim() ?? '');
  if (match?.[1] !== undefined && match[2] !== undefined) return Number(match[1]) * (AGE_UNITS[match[2].toUpperCase()] ?? 1);
  const birth = dateOf(text(json, 'PatientBirthDate'));
  if (birth === undefined) return undefined;
  for (const keyword of ['StudyDate', 'SeriesDate', 'AcquisitionDate', 'ContentDate']) {
    const date = dateOf(text(json, keyword));
    if (date === undefined) continue;
    const years = completedYears(birth, date);
    if (years >= 0 && years <= 150) return years;
  }
  return undefined;
}

interface CalendarDate {
  year: number;
  month: number;
  day: number;
}

/** `YYYYMMDD`, or `YYYY.MM.DD` of ACR-NEMA times. */
function dateOf(value: string | undefined): CalendarDate | undefined {
  const match = /^(\d{4})\.?(\d{2})\.?(\d{2})$/.exec(value ?? '');
  if (match === null) return undefined;
  const [year, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])];
  return year > 0 && month >= 1 && month <= 12 && day >= 1 && day <= 31 ? { year, month, day } : undefined;
}

/** Whole years as people count them; below two years the fraction, which is what paediatric limits need. */
function completedYears(birth: CalendarDate, at: CalendarDate): number {
  const before = at.month < birth.month || (at.month === birth.month && at.day < birth.day);
  const whole = at.year - birth.year - (before ? 1 : 0);
  if (whole >= 2 || whole < 0) return whole;
  const days = (Date.UTC(at.year, at.month - 1, at.day) - Date.UTC(birth.year, birth.month - 1, birth.day)) / 86_400_000;
  return days / 365.25;
}
