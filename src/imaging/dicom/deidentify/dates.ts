const DAY_MS = 86_400_000;

/**
 * A DA value some days earlier; undefined for what is no date. Reads `YYYY.MM.DD` of ACR-NEMA too, writes `YYYYMMDD`.
 *
 * @param days  how many days earlier
 * @see PS3.5 §6.2
 */
export function earlierDate(value: string, days: number): string | undefined {
  const match = /^(\d{4})\.?(\d{2})\.?(\d{2})$/.exec(value.trim());
  if (match === null) return undefined;
  const at = shifted(Number(match[1]), Number(match[2]), Number(match[3]), days);
  return at && `${at.year}${at.month}${at.day}`;
}

/**
 * A DT value some days earlier, with the time of day as it was and without the offset from UTC, which tells the region;
 * undefined for what is no date and time. A year or month alone is shifted from its middle and stays a year or month.
 */
export function earlierDateTime(value: string, days: number): string | undefined {
  const match = /^(\d{4})(\d{2})?(\d{2})?((?:\d{2}){0,3}(?:\.\d{1,6})?)(?:[+-]\d{4})?$/.exec(value.trim());
  const year = match?.[1];
  if (match === null || year === undefined) return undefined;
  const [, , month, day, time = ''] = match;
  // The time stands behind a whole date, a fraction behind whole seconds.
  if ((day === undefined && time !== '') || (time.includes('.') && time.indexOf('.') !== 6)) return undefined;
  if (time !== '' && !isTime(time)) return undefined;
  const at = shifted(Number(year), Number(month ?? '07'), Number(day ?? (month === undefined ? '02' : '15')), days);
  if (at === undefined) return undefined;
  return `${at.year}${month === undefined ? '' : at.month}${day === undefined ? '' : at.day}${time}`;
}

/** A TM value as the standard writes it; undefined for what is no time. Reads `HH:MM:SS` of ACR-NEMA too. */
export function timeOfDay(value: string): string | undefined {
  const time = value.trim().replace(/^(\d{2}):(\d{2})(?::(\d{2}))?/, '$1$2$3');
  return isTime(time) ? time : undefined;
}

function isTime(value: string): boolean {
  return /^([01]\d|2[0-3])([0-5]\d(([0-5]\d|60)(\.\d{1,6})?)?)?$/.test(value);
}

function shifted(year: number, month: number, day: number, days: number): { year: string; month: string; day: string } | undefined {
  // Not Date.UTC, for which the year 70 is 1970.
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined;
  const at = new Date(date.getTime() - days * DAY_MS);
  if (at.getUTCFullYear() < 1) return undefined;
  return { year: pad(at.getUTCFullYear(), 4), month: pad(at.getUTCMonth() + 1, 2), day: pad(at.getUTCDate(), 2) };
}

function pad(number: number, digits: number): string {
  return String(number).padStart(digits, '0');
}
