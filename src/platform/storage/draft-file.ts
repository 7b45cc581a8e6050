import { open, rename, unlink, type FileHandle } from 'node:fs/promises';
import { AppError } from '../../kernel/errors.js';
import type { DiskGuard } from './disk-guard.js';
import type { ByteRange } from './object-store.js';
import { storageError } from './storage-error.js';
import { writeFully } from './write-fully.js';

/** A draft that grows asks again after this many bytes whether there is room: one upload may be larger than the reserve. */
const ROOM_CHECK_BYTES = 16 * 1024 * 1024;

/** The bytes of a draft in a file of their own, which comes into being with the first of them: what is refused early costs nothing. */
export class DraftFile {
  private handle: FileHandle | undefined;
  private size = 0;
  private uncheckedBytes = 0;
  private closed = false;

  constructor(
    private readonly path: string,
    private readonly guard: DiskGuard,
  ) {}

  get sizeBytes(): number {
    return this.size;
  }

  /** @throws AppError `storage-full`, `storage-unavailable` */
  async append(chunk: Uint8Array): Promise<void> {
    this.uncheckedBytes += chunk.byteLength;
    if (this.uncheckedBytes >= ROOM_CHECK_BYTES) {
      this.uncheckedBytes = 0;
      await this.guard.assertRoom();
    }
    await this.write(chunk, this.size);
    this.size += chunk.byteLength;
  }

  /** @throws AppError `storage-full`, `storage-unavailable`; `internal` for bytes that were not appended */
  async patch(offset: number, bytes: Uint8Array): Promise<void> {
    if (offset < 0 || offset + bytes.byteLength > this.size) throw new AppError('internal', { detail: 'A draft is patched beyond its end.' });
    await this.write(bytes, offset);
  }

  /** @throws AppError `storage-unavailable` */
  async read(range: ByteRange): Promise<Uint8Array> {
    if (!this.handle) return new Uint8Array(0);
    try {
      return await readFully(this.handle, within(range, this.size));
    } catch (error) {
      throw storageError(error);
    }
  }

  /** Makes the bytes durable, though under no lasting name yet. @throws AppError `storage-full`, `storage-unavailable` */
  async sync(): Promise<void> {
    try {
      await (await this.opened()).datasync();
    } catch (error) {
      throw storageError(error);
    }
  }

  /** What will be kept must be what was written, whatever a file system made of it. @throws AppError `storage-full`, `storage-unavailable` */
  async assertKept(): Promise<void> {
    let kept: number;
    try {
      kept = (await (await this.opened()).stat()).size;
    } catch (error) {
      throw storageError(error);
    }
    if (kept !== this.size) throw new AppError('storage-full', { detail: 'The storage did not keep all that was written.' });
  }

  /** Throws as `rename` of the file system does. */
  async moveTo(target: string): Promise<void> {
    await rename(this.path, target);
  }

  /** Gives the handle back; the file, if it still has its name, stays. Harmless a second time. */
  async close(): Promise<void> {
    this.closed = true;
    const handle = this.handle;
    this.handle = undefined;
    await handle?.close();
  }

  /** Harmless a second time, and after the file has moved. */
  async discard(): Promise<void> {
    const exists = this.handle !== undefined;
    await this.close().catch(() => undefined);
    // A file that cannot be removed is swept at a later start.
    if (exists) await unlink(this.path).catch(() => undefined);
  }

  private async write(bytes: Uint8Array, offset: number): Promise<void> {
    try {
      await writeFully(await this.opened(), bytes, offset);
    } catch (error) {
      throw storageError(error);
    }
  }

  private async opened(): Promise<FileHandle> {
    // Whoever writes on after the draft was dropped would make a file that nobody removes.
    if (this.closed) throw new AppError('internal', { detail: 'A draft is used after its end.' });
    return (this.handle ??= await open(this.path, 'wx+', 0o600));
  }
}

/** The part of a range that lies within `sizeBytes`. */
export function within({ offset, length }: ByteRange, sizeBytes: number): ByteRange {
  return { offset, length: Math.max(0, Math.min(length, sizeBytes - offset)) };
}

/** Fewer bytes only at the end of the file. */
export async function readFully(handle: FileHandle, { offset, length }: ByteRange): Promise<Uint8Array> {
  const bytes = Buffer.allocUnsafe(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await handle.read(bytes, filled, length - filled, offset + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}
