import { AppError } from '../../kernel/errors.js';
import { exhaust, type ByteSource } from './byte-source.js';

/** One part of a multipart/related body; `content` is read before the next part is asked for. */
export interface RelatedPart {
  /** Names in lower case. */
  headers: ReadonlyMap<string, string>;
  content: AsyncGenerator<Uint8Array>;
}

export interface MediaType {
  /** `type/subtype`, lower case. */
  essence: string;
  parameters: ReadonlyMap<string, string>;
}

/** An empty part costs a client a few bytes, and us a place in the answer. */
const MAX_PARTS = 100_000;
const MAX_HEADER_BYTES = 16 * 1024;
/** RFC 2046 allows 70; Orthanc sends 73 (two UUIDs). */
const MAX_BOUNDARY_LENGTH = 200;
const CR = 0x0d;
const CRLF = Buffer.from('\r\n');
const HEADERS_END = Buffer.from('\r\n\r\n');

/** `multipart/related; type="application/dicom"; boundary=x`. @see RFC 9110 §8.3.1 */
export function parseMediaType(header: string): MediaType {
  const [essence = ''] = header.split(';', 1);
  const parameters = new Map<string, string>();
  for (const match of header.slice(essence.length).matchAll(/;\s*([^\s=;]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;]*))/g)) {
    parameters.set((match[1] ?? '').toLowerCase(), match[2]?.replace(/\\(.)/g, '$1') ?? match[3] ?? '');
  }
  return { essence: essence.trim().toLowerCase(), parameters };
}

/**
 * Cuts a multipart body into its parts as it arrives; never holds more than a chunk and a boundary.
 *
 * @throws AppError `malformed-multipart` when the body ends before its closing boundary, or a part's headers are no headers;
 * `payload-too-large` beyond 100,000 parts
 * @see RFC 2046 §5.1.1, RFC 2387
 */
export async function* relatedParts(source: ByteSource, boundary: string): AsyncGenerator<RelatedPart> {
  if (boundary === '' || boundary.length > MAX_BOUNDARY_LENGTH) throw new AppError('malformed-multipart', { detail: 'The boundary is missing or too long.' });
  const scanner = new BoundaryScanner(source, boundary);
  try {
    await exhaust(scanner.untilBoundary());
    for (let parts = 1; await scanner.opensPart(); parts++) {
      if (parts > MAX_PARTS) throw new AppError('payload-too-large', { detail: `A body may have ${String(MAX_PARTS)} parts.` });
      const headers = await scanner.headers();
      yield { headers, content: scanner.untilBoundary() };
      // Another generator than the reader's, which is closed when the reader broke off.
      if (!scanner.isAtBoundary) await exhaust(scanner.untilBoundary());
    }
  } finally {
    await scanner.close();
  }
}

class BoundaryScanner {
  private readonly iterator: AsyncIterator<Uint8Array>;
  private readonly delimiter: Buffer;
  /** A line break before the body, so that a boundary at its very beginning looks like all others. */
  private held: Buffer = CRLF;
  /** Whether what is held stood behind a boundary that was taken away just now. */
  isAtBoundary = false;

  constructor(source: ByteSource, boundary: string) {
    this.iterator = source[Symbol.asyncIterator]();
    this.delimiter = Buffer.from(`\r\n--${boundary}`, 'latin1');
  }

  /** Lets go of the source: a request whose reader still hangs on it cannot be read off after an early answer. */
  async close(): Promise<void> {
    await this.iterator.return?.();
  }

  /** Everything up to the next boundary, which is taken away. */
  async *untilBoundary(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const at = this.held.indexOf(this.delimiter);
      if (at >= 0) {
        const before = this.held.subarray(0, at);
        this.held = this.held.subarray(at + this.delimiter.length);
        this.isAtBoundary = true;
        if (before.length > 0) yield before;
        return;
      }
      // The end may be the first half of a boundary; all else goes on as it came, never copied.
      const before = this.held.subarray(0, this.held.length - this.beginningAtEnd());
      this.held = this.held.subarray(before.length);
      if (before.length > 0) yield before;
      await this.more();
    }
  }

  /** After a boundary: true for a part, false for the end of the body. */
  async opensPart(): Promise<boolean> {
    while (this.held.length < 2) await this.more();
    if (this.held.subarray(0, 2).toString('latin1') === '--') return false;
    for (let lineEnd = this.held.indexOf(CRLF); ; lineEnd = this.held.indexOf(CRLF)) {
      if (lineEnd >= 0) {
        if (!/^[ \t]*$/.test(this.held.subarray(0, lineEnd).toString('latin1'))) throw malformed('Something stands behind a boundary.');
        this.held = this.held.subarray(lineEnd);
        return true;
      }
      if (this.held.length > MAX_HEADER_BYTES) throw malformed('A boundary has no end.');
      await this.more();
    }
  }

  /** The held bytes begin with the line break behind the boundary. */
  async headers(): Promise<ReadonlyMap<string, string>> {
    let end = this.held.indexOf(HEADERS_END);
    while (end < 0) {
      if (this.held.length > MAX_HEADER_BYTES) throw malformed('The headers of a part are too long.');
      await this.more();
      end = this.held.indexOf(HEADERS_END);
    }
    const lines = this.held.subarray(CRLF.length, Math.max(CRLF.length, end)).toString('latin1');
    this.isAtBoundary = false;
    // An empty part's boundary may begin with the line break that ends the headers.
    this.held = this.held.subarray(end + HEADERS_END.length - (this.beginsBoundary(end + CRLF.length) ? CRLF.length : 0));
    const headers = new Map<string, string>();
    for (const line of lines.replace(/\r\n[ \t]+/g, ' ').split('\r\n')) {
      if (line === '') continue;
      const colon = line.indexOf(':');
      if (colon <= 0) throw malformed('A header of a part has no name.');
      headers.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim());
    }
    return headers;
  }

  /** Bytes at the end of what is held that a boundary may begin with. */
  private beginningAtEnd(): number {
    const { held, delimiter } = this;
    for (let at = held.indexOf(CR, Math.max(0, held.length - delimiter.length + 1)); at >= 0; at = held.indexOf(CR, at + 1)) {
      if (delimiter.compare(held, at, held.length, 0, held.length - at) === 0) return held.length - at;
    }
    return 0;
  }

  private beginsBoundary(at: number): boolean {
    return this.held.subarray(at, at + this.delimiter.length).equals(this.delimiter);
  }

  private async more(): Promise<void> {
    const step = await this.iterator.next();
    if (step.done === true) throw malformed('The body ends before its closing boundary.');
    const chunk = Buffer.from(step.value.buffer, step.value.byteOffset, step.value.byteLength);
    this.held = this.held.length === 0 ? chunk : Buffer.concat([this.held, chunk]);
  }
}

function malformed(detail: string): AppError {
  return new AppError('malformed-multipart', { detail });
}
