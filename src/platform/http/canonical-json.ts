import { AppError } from '../../kernel/errors.js';

const MAX_DEPTH = 64;

/** JSON with the members of every object sorted and no white space: equal values give equal text. @see RFC 8785, whose order it takes. @throws AppError `invalid-body` when nested deeper than 64 */
export function canonicalJson(value: unknown, depth = 0): string {
  if (depth > MAX_DEPTH) throw new AppError('invalid-body', { detail: 'The body is nested too deeply.' });
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item ?? null, depth + 1)).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).filter(([, member]) => member !== undefined).sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member, depth + 1)}`).join(',')}}`;
  }
  return value === undefined ? 'null' : JSON.stringify(value);
}
