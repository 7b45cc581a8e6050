import { createHash, randomBytes } from 'node:crypto';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AppError } from '../../kernel/errors.js';
import { DurableFolders } from '../storage/durable-folders.js';
import type { ListedObject } from '../storage/object-key.js';
import type { ObjectReader, ObjectStore } from '../storage/object-store.js';
import { isMissing } from '../storage/storage-error.js';
import { folderError, HALF, type BackupFolder } from './backup-folder.js';
import type { BlobCopy } from './blob-list.js';
import { inParallel } from './in-parallel.js';

/** Each waits for the disk most of the time: for the store, and until its bytes are durable. */
const AT_ONCE = 16;
const PIECE_BYTES = 1024 * 1024;

export interface CopiedBlobs {
  /** By key. */
  blobs: Map<string, BlobCopy>;
  copied: number;
  copiedBytes: number;
}

/**
 * Copies every object of the store that the backup folder does not have. What an earlier backup has under the same key, size and time is not read again:
 * blobs are written once.
 *
 * @param known  of the newest backup before this one, by key
 * @throws AppError `storage-full`, `storage-unavailable`
 */
export async function copyBlobs(store: ObjectStore, folder: BackupFolder, known: ReadonlyMap<string, BlobCopy>, report: (done: number) => void): Promise<CopiedBlobs> {
  const blobs = new Map<string, BlobCopy>();
  const objects = join(folder.path, 'objects');
  await mkdir(objects, { recursive: true, mode: 0o700 }).catch((error: unknown) => { throw folderError(error); });
  const folders = new DurableFolders(objects);
  let [copied, copiedBytes] = [0, 0];
  await inParallel(store.list(''), AT_ONCE, async (listed) => {
    const before = known.get(listed.key);
    const isKnown = before?.sizeBytes === listed.sizeBytes && before.modifiedMs === Math.trunc(listed.modifiedAt.getTime()) && (await folder.objectSize(before.sha256)) === before.sizeBytes;
    const copy = isKnown ? before : await copyObject(store, folder, folders, listed);
    if (!copy) return;
    blobs.set(copy.key, copy);
    if (!isKnown) {
      copied++;
      copiedBytes += copy.sizeBytes;
    }
    report(blobs.size);
  });
  await folders.sync(objects).catch((error: unknown) => { throw folderError(error); });
  return { blobs, copied, copiedBytes };
}

/** @returns undefined when it went away meanwhile */
async function copyObject(store: ObjectStore, folder: BackupFolder, folders: DurableFolders, { key, modifiedAt }: ListedObject): Promise<BlobCopy | undefined> {
  let reader: ObjectReader;
  try {
    reader = await store.open(key);
  } catch (error) {
    if (error instanceof AppError && error.code === 'blob-missing') return undefined;
    throw error;
  }
  // Its final name is its digest, which the last byte decides.
  const draft = join(folder.path, 'objects', `${HALF}${randomBytes(8).toString('hex')}`);
  try {
    const { sizeBytes } = reader;
    const sha256 = await spool(reader, draft);
    const target = folder.objectPath(sha256);
    await folders.ensure(dirname(target));
    await rename(draft, target);
    await folders.sync(dirname(target));
    return { key, sizeBytes, sha256, modifiedMs: Math.trunc(modifiedAt.getTime()) };
  } catch (error) {
    await rm(draft, { force: true }).catch(() => undefined);
    throw folderError(error);
  } finally {
    await reader.close();
  }
}

/** @returns the digest of the bytes, which are durable under `path` then */
async function spool(reader: ObjectReader, path: string): Promise<string> {
  const hash = createHash('sha256');
  const file = await open(path, 'wx', 0o600);
  try {
    for (let offset = 0; offset < reader.sizeBytes; offset += PIECE_BYTES) {
      const piece = await reader.read({ offset, length: Math.min(PIECE_BYTES, reader.sizeBytes - offset) });
      if (piece.length === 0) throw new AppError('storage-unavailable', { detail: 'An object ended before its size.' });
      hash.update(piece);
      await file.writeFile(piece);
    }
    await file.datasync();
  } finally {
    await file.close();
  }
  return hash.digest('hex');
}

/**
 * Puts blobs into a store. What fails leaves those before it there: take them away with `removeBlobs`.
 *
 * @param put  gets the key of each before it is there
 * @throws AppError `backup-corrupt` when an object is missing or not what was copied; `storage-full`, `storage-unavailable`
 */
export async function restoreBlobs(store: ObjectStore, folder: BackupFolder, blobs: Iterable<BlobCopy>, put: Set<string>, report: (done: number) => void): Promise<void> {
  let done = 0;
  await inParallel(blobs, AT_ONCE, async (blob) => {
    const draft = await store.begin();
    try {
      await readObject(folder, blob, (piece) => draft.append(piece));
      put.add(blob.key);
      await draft.commit(blob.key);
    } finally {
      await draft.abort();
    }
    report(++done);
  });
}

export async function removeBlobs(store: ObjectStore, keys: Iterable<string>): Promise<void> {
  await inParallel(keys, AT_ONCE, (key) => store.delete(key));
}

/** Reads every copy. @returns keys of blobs whose bytes are missing or changed */
export async function damagedBlobs(folder: BackupFolder, blobs: Iterable<BlobCopy>, report: (done: number) => void): Promise<string[]> {
  const damaged: string[] = [];
  let done = 0;
  await inParallel(blobs, AT_ONCE, async (blob) => {
    try {
      await readObject(folder, blob, () => Promise.resolve());
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'backup-corrupt') throw error;
      damaged.push(blob.key);
    }
    report(++done);
  });
  return damaged;
}

/** @throws AppError `backup-corrupt` at the end, when the bytes are not those of the digest */
async function readObject(folder: BackupFolder, { key, sizeBytes, sha256 }: BlobCopy, take: (piece: Uint8Array) => Promise<void>): Promise<void> {
  const corrupt = (cause?: unknown): AppError => new AppError('backup-corrupt', { detail: `The copy of the blob ${key} is missing or damaged.`, cause });
  const file = await open(folder.objectPath(sha256), 'r').catch((error: unknown) => { throw isMissing(error) ? corrupt(error) : folderError(error); });
  try {
    const hash = createHash('sha256');
    let size = 0;
    for (;;) {
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(Math.min(PIECE_BYTES, sizeBytes + 1)), 0).catch((error: unknown) => { throw folderError(error); });
      if (bytesRead === 0) break;
      const piece = buffer.subarray(0, bytesRead);
      size += bytesRead;
      if (size > sizeBytes) throw corrupt();
      hash.update(piece);
      await take(piece);
    }
    if (size !== sizeBytes || hash.digest('hex') !== sha256) throw corrupt();
  } finally {
    await file.close();
  }
}
