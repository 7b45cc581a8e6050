import { createReadStream, createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { z } from 'zod';
import { AppError } from '../../kernel/errors.js';
import { OBJECT_KEY } from '../storage/object-store.js';
import { SHA256 } from './backup-manifest.js';

/** A key has far fewer; a line that goes on for ever is not waited for. */
const MOST_LINE_BYTES = 4_096;
const LINES_AT_ONCE = 1_000;

/** A blob as it lay in the store, encrypted. */
export interface BlobCopy {
  key: string;
  sizeBytes: number;
  /** Of those bytes. */
  sha256: string;
  /** When the store says it was written, in milliseconds. */
  modifiedMs: number;
}

const line = z.tuple([z.string().max(2_000).regex(OBJECT_KEY), z.number().int().min(0), z.string().regex(SHA256), z.number().int().min(0)]);

/** One blob a line, `[key, size, sha256, modified]`, gzipped. Throws as the file system does. */
export async function writeBlobList(path: string, blobs: Iterable<BlobCopy>): Promise<void> {
  await pipeline(Readable.from(textOf(blobs)), createGzip({ level: 6 }), createWriteStream(path, { flags: 'wx', mode: 0o600, flush: true }));
}

function* textOf(blobs: Iterable<BlobCopy>): Generator<string> {
  let lines: string[] = [];
  for (const { key, sizeBytes, sha256, modifiedMs } of blobs) {
    lines.push(`${JSON.stringify([key, sizeBytes, sha256, modifiedMs])}\n`);
    if (lines.length < LINES_AT_ONCE) continue;
    yield lines.join('');
    lines = [];
  }
  yield lines.join('');
}

/**
 * @param most  how many there are at most
 * @throws AppError `backup-corrupt` for anything but keys, sizes and digests
 */
export async function* readBlobList(path: string, most: number): AsyncGenerator<BlobCopy> {
  const source = createReadStream(path);
  const text = createGunzip();
  source.on('error', (error) => text.destroy(error));
  let known = 0;
  try {
    for await (const one of linesOf(source.pipe(text))) {
      if (++known > most) throw damaged();
      const [key, sizeBytes, sha256, modifiedMs] = line.parse(JSON.parse(one));
      yield { key, sizeBytes, sha256, modifiedMs };
    }
  } catch (error) {
    if (error instanceof AppError || (error instanceof Error && 'syscall' in error)) throw error;
    throw damaged(error);
  } finally {
    source.destroy();
    text.destroy();
  }
}

async function* linesOf(source: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let held = '';
  for await (const chunk of source) {
    // Keys and digests are ASCII, so no character lies across two chunks.
    const lines = (held + Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString('latin1')).split('\n');
    held = lines.pop() ?? '';
    if (held.length > MOST_LINE_BYTES) throw damaged();
    yield* lines;
  }
  if (held !== '') throw damaged();
}

function damaged(cause?: unknown): AppError {
  return new AppError('backup-corrupt', { detail: 'The list of blobs is damaged.', cause });
}
