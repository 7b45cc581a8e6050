import { AppError } from '../../kernel/errors.js';

const BLOCK = 512;
/** Of an extended header: a path, and what else a tar program likes to note. */
const MOST_HEADER_BYTES = 64 * 1024;

/** A plain file of an archive. Its bytes are there until the next one is asked for; what was not read is passed over. */
export interface TarFile {
  /** Relative, without `.` and `..`. */
  path: string;
  sizeBytes: number;
  content: AsyncIterable<Uint8Array>;
}

/**
 * The files of a tar archive as it comes, in order; folders are left out.
 *
 * @throws AppError `invalid-archive`, `truncated-file`, `unsafe-archive-path` for a link, a device or a path that leads outside
 * @see POSIX pax interchange format (ustar)
 */
export async function* tarFiles(source: AsyncIterable<Uint8Array>): AsyncGenerator<TarFile> {
  const bytes = new ByteReader(source);
  let longName: string | undefined;
  for (let count = 0; ; count++) {
    const header = await bytes.upTo(BLOCK);
    // The end is two blocks of zeros; archives without any are common enough.
    if ((header.length === 0 && count > 0) || (header.length === BLOCK && header.every((byte) => byte === 0))) return;
    if (header.length < BLOCK) throw new AppError('truncated-file', { detail: 'The archive ends in the middle of an entry.' });
    const { type, sizeBytes, name } = parseHeader(header);
    const padding = (BLOCK - (sizeBytes % BLOCK)) % BLOCK;
    if (type === 'x' || type === 'L' || type === 'g') {
      if (sizeBytes > MOST_HEADER_BYTES) throw damaged();
      const text = (await bytes.exactly(sizeBytes)).toString('utf8');
      await bytes.skip(padding);
      if (type === 'x') longName = /(?:^|\n)\d+ path=([^\n]*)\n/.exec(text)?.[1] ?? longName;
      else if (type === 'L') longName = text.replace(/\0.*$/s, '');
      continue;
    }
    const path = safePath(longName ?? name);
    longName = undefined;
    if (type === '5') continue;
    if (type !== '0' && type !== '\0') throw new AppError('unsafe-archive-path', { detail: 'The archive holds a link or a device.' });
    const rest = { bytes: sizeBytes };
    yield { path, sizeBytes, content: bytes.stretch(rest) };
    await bytes.skip(rest.bytes + padding);
  }
}

function parseHeader(header: Buffer): { type: string; sizeBytes: number; name: string } {
  const sum = header.reduce((total, byte, index) => total + (index >= 148 && index < 156 ? 0x20 : byte), 0);
  if (sum !== octal(header, 148, 8)) throw damaged();
  const prefix = textAt(header, 345, 155);
  const name = textAt(header, 0, 100);
  return { type: String.fromCharCode(header[156] ?? 0), sizeBytes: octal(header, 124, 12), name: prefix === '' ? name : `${prefix}/${name}` };
}

function safePath(path: string): string {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  if (path.startsWith('/') || path.includes('\\') || path.includes('\0') || parts.includes('..')) throw new AppError('unsafe-archive-path');
  return parts.join('/');
}

function textAt(header: Buffer, offset: number, length: number): string {
  return header.toString('utf8', offset, offset + length).replace(/\0.*$/s, '');
}

/** Sizes from 8 GiB on are written in another way (GNU, base 256), which no pack needs: they count as damage. */
function octal(header: Buffer, offset: number, length: number): number {
  const text = textAt(header, offset, length).trim();
  if (!/^[0-7]+$/.test(text)) throw damaged();
  return Number.parseInt(text, 8);
}

function damaged(): AppError {
  return new AppError('invalid-archive', { detail: 'The tar archive is damaged.' });
}

/** Takes bytes off a source in the pieces that the format has. */
class ByteReader {
  private readonly source: AsyncIterator<Uint8Array>;
  private held: Uint8Array = new Uint8Array(0);

  constructor(source: AsyncIterable<Uint8Array>) {
    this.source = source[Symbol.asyncIterator]();
  }

  /** Fewer at the end. */
  async upTo(length: number): Promise<Buffer> {
    const pieces: Uint8Array[] = [];
    for (let missing = length; missing > 0; ) {
      const piece = await this.piece(missing);
      if (!piece) break;
      pieces.push(piece);
      missing -= piece.byteLength;
    }
    return Buffer.concat(pieces);
  }

  async exactly(length: number): Promise<Buffer> {
    const bytes = await this.upTo(length);
    if (bytes.length < length) throw new AppError('truncated-file', { detail: 'The archive ends in the middle of an entry.' });
    return bytes;
  }

  /** @param rest  counted down as the bytes are taken */
  async *stretch(rest: { bytes: number }): AsyncGenerator<Uint8Array> {
    while (rest.bytes > 0) {
      const piece = await this.piece(rest.bytes);
      if (!piece) throw new AppError('truncated-file', { detail: 'The archive ends in the middle of an entry.' });
      rest.bytes -= piece.byteLength;
      yield piece;
    }
  }

  async skip(length: number): Promise<void> {
    const rest = { bytes: length };
    // Read, and dropped: the source can only go forward.
    for await (const piece of this.stretch(rest)) if (piece.byteLength === 0) return;
  }

  private async piece(most: number): Promise<Uint8Array | undefined> {
    while (this.held.byteLength === 0) {
      const step = await this.source.next();
      if (step.done === true) return undefined;
      this.held = step.value;
    }
    const piece = this.held.subarray(0, most);
    this.held = this.held.subarray(piece.byteLength);
    return piece;
  }
}
