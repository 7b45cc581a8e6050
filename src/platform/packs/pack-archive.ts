import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { AppError } from '../../kernel/errors.js';
import { storageError } from '../storage/storage-error.js';
import { tarFiles } from './tar-reader.js';

/** More than any pack needs; what goes beyond is taken for a bomb. */
export interface ArchiveLimits {
  files: number;
  /** Of all files together, unpacked. */
  bytes: number;
}

export const ARCHIVE_LIMITS: ArchiveLimits = { files: 200, bytes: 8 * 2 ** 30 };

const CLASHES = new Set(['EEXIST', 'ENOTDIR', 'EISDIR', 'ENAMETOOLONG']);

/**
 * Unpacks the plain files of a `.tgz` into a folder, piece by piece.
 *
 * @throws AppError `empty-file`, `invalid-archive`, `truncated-file`, `archive-bomb`, `storage-full`, and `unsafe-archive-path` for a link or a path that leads outside
 */
export async function unpackArchive(file: string, target: string, limits: ArchiveLimits = ARCHIVE_LIMITS): Promise<void> {
  if ((await stat(file)).size === 0) throw new AppError('empty-file');
  let files = 0;
  let bytes = 0;
  for await (const { path, sizeBytes, content } of tarFiles(unzipped(file))) {
    files += 1;
    bytes += sizeBytes;
    if (files > limits.files || bytes > limits.bytes) throw new AppError('archive-bomb', { detail: `A pack may hold ${String(limits.files)} files and ${String(limits.bytes)} bytes.` });
    await writeOut(content, join(target, path));
  }
}

async function writeOut(content: AsyncIterable<Uint8Array>, place: string): Promise<void> {
  try {
    await mkdir(dirname(place), { recursive: true });
    await pipeline(Readable.from(content, { objectMode: false }), createWriteStream(place, { flags: 'wx' }));
  } catch (error) {
    if (error instanceof AppError) throw error;
    if (error instanceof Error && 'code' in error && CLASHES.has(String(error.code))) throw new AppError('invalid-archive', { detail: 'Two entries of the archive have the same path.', cause: error });
    throw storageError(error);
  }
}

async function* unzipped(file: string): AsyncGenerator<Uint8Array> {
  const source = createReadStream(file);
  const gunzip = createGunzip();
  // Errors of the file reach the reader of the stream behind it.
  source.on('error', (error) => gunzip.destroy(error));
  try {
    for await (const chunk of source.pipe(gunzip)) yield chunk as Uint8Array; // streams of zlib are in byte mode
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (code === 'Z_BUF_ERROR') throw new AppError('truncated-file', { detail: 'The file ends before its data does.', cause: error });
    if (code.startsWith('Z_')) throw new AppError('invalid-archive', { detail: 'The file is not a gzipped tar archive.', cause: error });
    throw error;
  } finally {
    source.destroy();
    gunzip.destroy();
  }
}

/**
 * The folder with the pack: the top of an unpacked archive, or its only folder.
 *
 * @param names  one of these files tells a pack
 * @throws AppError `manifest-invalid`
 */
export async function folderOfPack(top: string, names: readonly string[]): Promise<string> {
  const entries = await readdir(top, { withFileTypes: true });
  if (entries.some(({ name }) => names.includes(name))) return top;
  const folders = entries.filter((entry) => entry.isDirectory());
  const [only] = folders;
  if (only && folders.length === 1) return join(top, only.name);
  throw new AppError('manifest-invalid', { detail: 'The archive has no manifest.json at its top or in its only folder.' });
}
