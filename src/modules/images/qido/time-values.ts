/** Values of DA, TM and DT, as they are stored and as they are searched for. @see PS3.5 §6.2, PS3.4 C.2.2.2.5 */

/** The first and the last moment of what a value of less than full precision means. */
export interface Span<T> {
  first: T;
  last: T;
}

const DATE = /^(\d{4})\.?(\d{2})\.?(\d{2})$/;
const TIME = /^(\d{2})(?::?([0-5]\d)(?::?([0-5]\d|60)(?:\.(\d{1,6}))?)?)?$/;
const MOMENT = /^(\d{4})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:\.(\d{1,6}))?)?)?)?)?)?([+-]\d{4})?$/;

/** `YYYYMMDD` of a DA, also in ACR-NEMA's form with dots; undefined for what is no date. */
export function wholeDate(value: string): string | undefined {
  const match = DATE.exec(value.trim());
  if (match?.[1] === undefined || match[2] === undefined || match[3] === undefined) return undefined;
  const [month, day] = [Number(match[2]), Number(match[3])];
  return month >= 1 && month <= 12 && day >= 1 && day <= 31 ? match[1] + match[2] + match[3] : undefined;
}

/** `HHMMSS.ffffff` of a TM; what it leaves out is zero. */
export function timeOf(value: string): string | undefined {
  return timeSpan(value)?.first;
}

/** What a TM means in a search: `10` is the hour from 10:00 to 10:59:59.999999. */
export function timeSpan(value: string): Span<string> | undefined {
  const match = TIME.exec(value.trim());
  if (match?.[1] === undefined || Number(match[1]) > 23) return undefined;
  const [, hours, minutes, seconds, fraction] = match;
  return {
    first: `${hours}${minutes ?? '00'}${seconds ?? '00'}.${(fraction ?? '').padEnd(6, '0')}`,
    last: `${hours}${minutes ?? '59'}${seconds ?? '59'}.${(fraction ?? '').padEnd(6, '9')}`,
  };
}

/** Milliseconds since 1970 of a DT; without an offset it counts as UTC. */
export function momentOf(value: string): number | undefined {
  return momentSpan(value)?.first;
}

/** What a DT means in a search; `last` is the first moment behind it. */
export function momentSpan(value: string): Span<number> | undefined {
  const match = MOMENT.exec(value.trim());
  if (match === null) return undefined;
  const [, year, month, day, hours, minutes, seconds, fraction, offset] = match;
  const parts = [Number(year), Number(month ?? 1) - 1, Number(day ?? 1), Number(hours ?? 0), Number(minutes ?? 0), Number(seconds ?? 0)] as const;
  if (parts[1] < 0 || parts[1] > 11 || parts[2] < 1 || parts[2] > 31 || parts[3] > 23 || parts[4] > 59 || parts[5] > 60) return undefined;
  const behind = [...parts] as [number, number, number, number, number, number];
  const unit = [year, month, day, hours, minutes, seconds].findLastIndex((part) => part !== undefined);
  if (fraction === undefined) behind[unit] = (behind[unit] ?? 0) + 1;
  const shift = offset === undefined ? 0 : (offset.startsWith('-') ? -1 : 1) * (Number(offset.slice(1, 3)) * 60 + Number(offset.slice(3))) * 60_000;
  const milliseconds = fraction === undefined ? 0 : Number(`0.${fraction}`) * 1000;
  const width = fraction === undefined ? 0 : 1000 / 10 ** fraction.length;
  return { first: utc(parts) - shift + milliseconds, last: utc(behind) - shift + milliseconds + width };
}

/** `Date.UTC` takes the years 0 to 99 for those of the twentieth century. */
function utc([year, month, day, hours, minutes, seconds]: readonly [number, number, number, number, number, number]): number {
  const date = new Date(0);
  date.setUTCFullYear(year, month, day);
  date.setUTCHours(hours, minutes, seconds);
  return date.getTime();
}
