import { createReadStream, createWriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { AppError } from '../../kernel/errors.js';

const BLOCK = 512;
/** What eleven octal digits hold: 8 GiB. */
const MOST_BYTES = 8 ** 11;

/**
 * Writes a `.tgz` of plain files, in the order given; the same files give the same bytes.
 *
 * @param files  `path` is the one in the archive, of at most 100 bytes; `file` lies on disk
 * @see POSIX pax interchange format (ustar)
 */
export async function writeArchive(files: readonly { path: string; file: string }[], target: string): Promise<void> {
  // Weights hardly shrink: more effort would be spent for nothing.
  await pipeline(Readable.from(blocks(files)), createGzip({ level: 1 }), createWriteStream(target, { flags: 'wx' }));
}

async function* blocks(files: readonly { path: string; file: string }[]): AsyncGenerator<Uint8Array> {
  for (const { path, file } of files) {
    const { size } = await stat(file);
    yield tarHeader(path, size);
    for await (const chunk of createReadStream(file)) yield chunk as Uint8Array; // files are read in byte mode
    yield tarPadding(size);
  }
  yield tarEnd();
}

/** What follows a file. */
export function tarPadding(sizeBytes: number): Buffer {
  return Buffer.alloc((BLOCK - (sizeBytes % BLOCK)) % BLOCK);
}

export function tarEnd(): Buffer {
  return Buffer.alloc(2 * BLOCK);
}

/** What comes before a file. @throws AppError `invalid-archive` for a path of more than 100 bytes, or 8 GiB and more */
export function tarHeader(path: string, sizeBytes: number): Buffer {
  if (Buffer.byteLength(path) > 100 || sizeBytes >= MOST_BYTES) throw new AppError('invalid-archive', { detail: 'A file of the pack has too long a path or is too large for an archive.' });
  const block = Buffer.alloc(BLOCK);
  block.write(path, 0);
  block.write('0000644\0', 100);
  block.write('0000000\0'.repeat(2), 108);
  block.write(`${sizeBytes.toString(8).padStart(11, '0')}\0`, 124);
  block.write('00000000000\0', 136);
  block.write('        0', 148);
  block.write('ustar\x0000', 257);
  block.write(`${block.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}
