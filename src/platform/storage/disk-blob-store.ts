import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat, unlink, writeFile, type FileHandle } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { AppError, isNoSpace } from '../../kernel/errors.js';
import { BlobStore, type BlobDigest, type BlobDraft, type ByteRange } from './blob-store.js';
import { writeFully } from './write-fully.js';

const KEY_PATTERN = /^[A-Za-z0-9_-][A-Za-z0-9._-]*(\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$/;
/** A draft older than this belongs to a process that died. */
const ABANDONED_MS = 24 * 3600 * 1000;
/** Drafts carry host and process, because several hosts may share the folder. */
const HOST = hostname().replaceAll(/[^A-Za-z0-9.-]/g, '-');
const OWNER = `${HOST}~${String(process.pid)}`;

/** Blobs as files: `<root>/objects/<key>`, drafts under `<root>/drafts`. */
export class DiskBlobStore extends BlobStore {
  private readonly objects: string;
  private readonly drafts: string;

  constructor(root: string) {
    super();
    this.objects = join(root, 'objects');
    this.drafts = join(root, 'drafts');
  }

  /** Makes the folders and sweeps drafts that nobody will commit any more. */
  async prepare(): Promise<void> {
    await mkdir(this.objects, { recursive: true, mode: 0o700 });
    await mkdir(this.drafts, { recursive: true, mode: 0o700 });
    for (const name of await readdir(this.drafts)) {
      const path = join(this.drafts, name);
      const age = await stat(path).then(({ mtimeMs }) => Date.now() - mtimeMs, () => 0);
      if (age > ABANDONED_MS || !ownerLives(name)) await rm(path, { force: true });
    }
  }

  async begin(): Promise<BlobDraft> {
    const path = join(this.drafts, `${OWNER}~${randomUUID()}`);
    try {
      return new DiskDraft(await open(path, 'wx+', 0o600), path, this.objects);
    } catch (error) {
      throw storageError(error);
    }
  }

  async open(key: string, range?: ByteRange): Promise<Readable> {
    const path = this.pathOf(key);
    await stat(path).catch((error: unknown) => { throw missingOr(error); });
    return createReadStream(path, range && { start: range.offset, end: range.offset + range.length - 1 });
  }

  async read(key: string, range?: ByteRange): Promise<Uint8Array> {
    let handle: FileHandle | undefined;
    try {
      handle = await open(this.pathOf(key), 'r');
      const whole = (await handle.stat()).size;
      const offset = range?.offset ?? 0;
      return await readFully(handle, { offset, length: Math.max(0, Math.min(range?.length ?? whole, whole - offset)) });
    } catch (error) {
      throw missingOr(error);
    } finally {
      await handle?.close();
    }
  }

  async delete(key: string): Promise<void> {
    await rm(this.pathOf(key), { force: true });
  }

  async ping(): Promise<void> {
    const probe = join(this.drafts, `${OWNER}~probe`);
    try {
      await writeFile(probe, 'ok');
      await unlink(probe);
    } catch (error) {
      throw storageError(error);
    }
  }

  private pathOf(key: string): string {
    if (!KEY_PATTERN.test(key)) throw new AppError('internal', { detail: 'A blob key is malformed.' });
    return join(this.objects, key);
  }
}

class DiskDraft implements BlobDraft {
  private readonly hash = createHash('sha256');
  private sizeBytes = 0;
  private done = false;

  constructor(private readonly handle: FileHandle, private readonly path: string, private readonly objects: string) {}

  async write(source: AsyncIterable<Uint8Array>): Promise<BlobDigest> {
    for await (const chunk of source) {
      try {
        await writeFully(this.handle, chunk, this.sizeBytes);
      } catch (error) {
        throw storageError(error);
      }
      this.hash.update(chunk);
      this.sizeBytes += chunk.byteLength;
    }
    return { sizeBytes: this.sizeBytes, sha256: this.hash.copy().digest('hex') };
  }

  read(range: ByteRange): Promise<Uint8Array> {
    return readFully(this.handle, { offset: range.offset, length: Math.max(0, Math.min(range.length, this.sizeBytes - range.offset)) });
  }

  async commit(key: string): Promise<void> {
    if (!KEY_PATTERN.test(key)) throw new AppError('internal', { detail: 'A blob key is malformed.' });
    const target = join(this.objects, key);
    try {
      await this.handle.sync();
      // What is renamed must be what was hashed, whatever a file system made of it.
      const { size } = await this.handle.stat();
      if (size !== this.sizeBytes) throw new AppError('storage-full', { detail: 'The storage did not keep all that was written.' });
      await mkdir(dirname(target), { recursive: true, mode: 0o700 });
      await rename(this.path, target);
      await syncFolder(dirname(target));
    } catch (error) {
      throw storageError(error);
    }
    this.done = true;
    await this.handle.close();
  }

  async abort(): Promise<void> {
    if (this.done) return;
    this.done = true;
    await this.handle.close().catch(() => undefined);
    await rm(this.path, { force: true });
  }
}

async function readFully(handle: FileHandle, { offset, length }: ByteRange): Promise<Uint8Array> {
  const bytes = Buffer.allocUnsafe(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await handle.read(bytes, filled, length - filled, offset + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}

/** A rename is durable only once its folder is. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** False only for a process of this host that is gone: of other hosts nothing is known but the age of their drafts. */
function ownerLives(draftName: string): boolean {
  const [host, pid] = draftName.split('~');
  if (host !== HOST) return true;
  if (Number(pid) === process.pid) return false;
  try {
    process.kill(Number(pid), 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

function storageError(error: unknown): unknown {
  if (error instanceof AppError) return error;
  return isNoSpace(error) ? new AppError('storage-full', { cause: error }) : new AppError('storage-unavailable', { cause: error });
}

function missingOr(error: unknown): unknown {
  if (error instanceof AppError) return error;
  const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
  return new AppError(missing ? 'blob-missing' : 'storage-unavailable', { cause: error });
}
