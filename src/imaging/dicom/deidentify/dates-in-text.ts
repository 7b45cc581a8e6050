const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
/** Longer texts than any that is kept are cut up to here. */
const MAX_LENGTH = 4096;

/**
 * Every day that a text may mean, as `YYYYMMDD`: 1950-01-02, 02.01.1950, 1/2/1950 (both ways), 19500102, 02011950, 1950年1月2日,
 * 2 Jan 1950, January 2nd, 1950.
 *
 * @param text  lower case
 */
export function datesIn(text: string): string[] {
  if (!/\d/.test(text)) return [];
  const short = text.slice(0, MAX_LENGTH);
  const dates: string[] = [];
  const add = (year: string, month: string | number, day: string): void => {
    const [m, d] = [Number(month), Number(day)];
    if (year.length === 4 && m >= 1 && m <= 12 && d >= 1 && d <= 31) dates.push(`${year}${String(m).padStart(2, '0')}${String(d).padStart(2, '0')}`);
  };
  for (const [, a = '', b = '', c = ''] of short.matchAll(/(?<!\d)(\d{1,4})[^\da-z]{1,3}(\d{1,2})[^\da-z]{1,3}(\d{1,4})(?!\d)/g)) {
    add(a, b, c);
    add(c, b, a);
    add(c, a, b);
  }
  for (const [run] of short.matchAll(/\d{8,}/g)) {
    for (let at = 0; at + 8 <= run.length; at++) {
      const eight = run.slice(at, at + 8);
      add(eight.slice(0, 4), eight.slice(4, 6), eight.slice(6));
      add(eight.slice(4), eight.slice(2, 4), eight.slice(0, 2));
      add(eight.slice(4), eight.slice(0, 2), eight.slice(2, 4));
    }
  }
  for (const [, day = '', name = '', year = ''] of short.matchAll(/(?<!\d)(\d{1,2})(?:st|nd|rd|th)?[^\da-z]{0,3}([a-z]{3})[a-z]*[^\da-z]{0,3}(\d{4})/g)) add(year, MONTHS.indexOf(name) + 1, day);
  for (const [, name = '', day = '', year = ''] of short.matchAll(/(?<![a-z])([a-z]{3})[a-z]*[^\da-z]{0,2}(\d{1,2})(?:st|nd|rd|th)?[^\da-z]{1,3}(\d{4})/g)) add(year, MONTHS.indexOf(name) + 1, day);
  return dates;
}
