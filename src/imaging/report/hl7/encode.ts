/** A value, or its subcomponents. */
export type Component = string | readonly string[];
/** A value, or its components; what is empty at the end is left out. */
export type Field = string | readonly Component[];
/** Fields by their numbers, as the standard lists them; several of one kind as `repeated`. */
export type Fields = Readonly<Record<number, Field | { readonly repeated: readonly Field[] } | undefined>>;

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\E\\', '|': '\\F\\', '~': '\\R\\', '^': '\\S\\', '&': '\\T\\' };

/**
 * Text as a value of HL7 v2: delimiters as `\F\` and its like, control characters and line breaks as `\X0D\`, so that no value ends a field, a segment or a frame of MLLP.
 * Line separators that only Unicode knows become blanks: receivers that split text into lines take them for ends of segments.
 *
 * @see HL7 v2.5.1 chapter 2.7
 */
export function escaped(text: string): string {
  const plain = text.replaceAll(/\p{Surrogate}/gu, '\ufffd').replaceAll(/[\u0080-\u009f\u2028\u2029]/g, ' ');
  // Alone in a field it would say: delete what you have.
  if (plain === '""') return '\\X22\\\\X22\\';
  return plain.replaceAll(/[\\|~^&\u0000-\u001f\u007f]/g, (character) => ESCAPES[character] ?? `\\X${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}\\`);
}

/** One segment, without its end. */
export function segment(name: string, fields: Fields): string {
  return trimmed([name, ...placed(fields, 1)], '|');
}

/** MSH: its first field is the field separator itself, the second the other delimiters. */
export function headerSegment(fields: Fields): string {
  return trimmed(['MSH', '^~\\&', ...placed(fields, 3)], '|');
}

function placed(fields: Fields, first: number): string[] {
  const last = Math.max(first - 1, ...Object.keys(fields).map(Number));
  return Array.from({ length: last - first + 1 }, (_, n) => {
    const field = fields[first + n];
    if (field === undefined) return '';
    return typeof field === 'object' && 'repeated' in field ? field.repeated.map(fieldText).join('~') : fieldText(field);
  });
}

function fieldText(field: Field): string {
  return typeof field === 'string' ? escaped(field) : trimmed(field.map((component) => (typeof component === 'string' ? escaped(component) : trimmed(component.map(escaped), '&'))), '^');
}

function trimmed(parts: readonly string[], delimiter: string): string {
  return parts.slice(0, parts.findLastIndex((part) => part !== '') + 1).join(delimiter);
}

/** NM: no exponent, at most twelve significant digits; undefined for what is no number. @see HL7 v2.5.1 2.A.47 */
export function numeric(value: number): string | undefined {
  if (!Number.isFinite(value)) return undefined;
  const text = Number(value.toPrecision(12)).toLocaleString('en-US', { useGrouping: false, maximumFractionDigits: 12 });
  return text === '-0' ? '0' : text;
}

/** TS to the second, in UTC. */
export function timestamp(at: Date): string {
  return `${at.toISOString().slice(0, 19).replaceAll(/[-T:]/g, '')}+0000`;
}
