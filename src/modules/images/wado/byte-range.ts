import { AppError } from '../../../kernel/errors.js';

export interface Stretch {
  offset: number;
  length: number;
}

/** The error behind 416, which tells how much there is. @see RFC 9110 §15.5.17 */
export class RangeNotSatisfiable extends AppError {
  constructor(readonly sizeBytes: number) {
    super('range-not-satisfiable');
  }
}

/**
 * The stretch that a Range header asks for. Undefined when all is to be sent: without a header, with one of another unit or
 * of several ranges, which a server may ignore, or when If-Range names another version.
 *
 * @param etag  of the representation as it is; a weak one never fits If-Range
 * @throws RangeNotSatisfiable
 * @see RFC 9110 §13.1.5, §14.2
 */
export function requestedStretch(header: string | undefined, sizeBytes: number, { ifRange, etag }: { ifRange: string | undefined; etag: string }): Stretch | undefined {
  if (header === undefined || (ifRange !== undefined && (ifRange !== etag || etag.startsWith('W/')))) return undefined;
  const match = /^bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*$/i.exec(header);
  const [, first = '', last = ''] = match ?? [];
  if (match === null || (first === '' && last === '')) return undefined;
  if (first === '') {
    const length = Math.min(Number(last), sizeBytes);
    if (length === 0) throw new RangeNotSatisfiable(sizeBytes);
    return { offset: sizeBytes - length, length };
  }
  const offset = Number(first);
  const end = last === '' ? sizeBytes - 1 : Math.min(Number(last), sizeBytes - 1);
  // A range whose end comes before its beginning is none.
  if (last !== '' && Number(last) < offset) return undefined;
  if (offset >= sizeBytes) throw new RangeNotSatisfiable(sizeBytes);
  return { offset, length: end - offset + 1 };
}

/** `bytes 0-99/1234` */
export function contentRange({ offset, length }: Stretch, sizeBytes: number): string {
  return `bytes ${String(offset)}-${String(offset + length - 1)}/${String(sizeBytes)}`;
}
