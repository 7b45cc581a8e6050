import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { AppError } from '../../kernel/errors.js';

const BLOCK = 512;
/** More than any pack of ours; a bomb is cut off here. */
const MAX_BYTES = 2 ** 31;

/**
 * Unpacks plain files and folders of a `.tgz`.
 *
 * @throws AppError `invalid-archive`, `unsafe-archive-path` for a link or a path that leads outside
 * @see POSIX pax interchange format (ustar)
 */
export async function extractTarball(file: string, target: string): Promise<void> {
  for (const { path, content } of tarEntries(unzip(await readFile(file)))) {
    const place = join(target, path);
    await mkdir(dirname(place), { recursive: true });
    await writeFile(place, content);
  }
}

function unzip(bytes: Buffer): Buffer {
  try {
    return gunzipSync(bytes, { maxOutputLength: MAX_BYTES });
  } catch (error) {
    throw new AppError('invalid-archive', { detail: 'The file is not a gzipped tar archive.', cause: error });
  }
}

/** Files of a tar archive, in order. @throws as `extractTarball` does */
export function* tarEntries(archive: Buffer): Generator<{ path: string; content: Buffer }> {
  let longName: string | undefined;
  for (let at = 0; at + BLOCK <= archive.length; ) {
    const header = archive.subarray(at, at + BLOCK);
    if (header.every((byte) => byte === 0)) return;
    const size = octal(header, 124, 12);
    const sum = header.reduce((total, byte, index) => total + (index >= 148 && index < 156 ? 0x20 : byte), 0);
    if (sum !== octal(header, 148, 8) || at + BLOCK + size > archive.length) throw new AppError('invalid-archive', { detail: 'The tar archive is damaged.' });
    const content = archive.subarray(at + BLOCK, at + BLOCK + size);
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
    const type = String.fromCharCode(header[156] ?? 0);
    if (type === 'x') longName = /(?:^|\n)\d+ path=([^\n]*)\n/.exec(content.toString('utf8'))?.[1] ?? longName;
    else if (type === 'L') longName = content.toString('utf8').replace(/\0.*$/s, '');
    if (type === 'x' || type === 'L' || type === 'g') continue;
    const prefix = textAt(header, 345, 155);
    const path = safePath(longName ?? (prefix === '' ? textAt(header, 0, 100) : `${prefix}/${textAt(header, 0, 100)}`));
    longName = undefined;
    if (type === '5') continue;
    if (type !== '0' && type !== '\0') throw new AppError('unsafe-archive-path', { detail: 'The archive holds a link or a device.' });
    yield { path, content };
  }
}

function safePath(path: string): string {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  if (path.startsWith('/') || path.includes('\\') || parts.includes('..')) throw new AppError('unsafe-archive-path');
  return parts.join('/');
}

function textAt(header: Buffer, offset: number, length: number): string {
  return header.toString('utf8', offset, offset + length).replace(/\0.*$/s, '');
}

function octal(header: Buffer, offset: number, length: number): number {
  const value = Number.parseInt(textAt(header, offset, length).trim(), 8);
  return Number.isNaN(value) ? 0 : value;
}
