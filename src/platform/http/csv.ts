/** What a spreadsheet would take for a formula; East Asian ones take the wide signs too. */
const FORMULA = /^[=+\-@\t\r\n＝＋－＠]/;

/** A line with its end. Numbers stand as they are; text that would be a formula gets a quotation mark before it. @see RFC 4180 */
export function csvLine(cells: readonly (string | number | null | undefined)[]): string {
  return `${cells.map(cell).join(',')}\r\n`;
}

function cell(value: string | number | null | undefined): string {
  if (value === null || value === undefined) return '';
  if (typeof value === 'number') return Number.isFinite(value) ? String(value) : '';
  const safe = FORMULA.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
