import { rename, unlink } from 'node:fs/promises';
import { AppError } from '../../kernel/errors.js';
import type { DiskGuard } from './disk-guard.js';
import type { ByteRange, ObjectDraft } from './object-store.js';
import { OpenFile } from './open-file.js';
import { storageError } from './storage-error.js';
import { writeFully } from './write-fully.js';

/** A draft that grows asks again after this many bytes whether there is room: one upload may be larger than the reserve. */
const ROOM_CHECK_BYTES = 16 * 1024 * 1024;

/** The bytes of a draft in a file of their own, which comes into being with the first of them: what is refused early costs nothing. */
export class DraftFile {
  private file: OpenFile | undefined;
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
  async append(...chunks: Uint8Array[]): Promise<void> {
    const bytes = chunks.reduce((sum, { byteLength }) => sum + byteLength, 0);
    this.uncheckedBytes += bytes;
    if (this.uncheckedBytes >= ROOM_CHECK_BYTES) {
      this.uncheckedBytes = 0;
      await this.guard.assertRoom();
    }
    await this.write(chunks, this.size);
    this.size += bytes;
  }

  /** @throws AppError `storage-full`, `storage-unavailable`; `internal` for bytes that were not appended */
  async patch(offset: number, bytes: Uint8Array): Promise<void> {
    if (offset < 0 || offset + bytes.byteLength > this.size) throw new AppError('internal', { detail: 'A draft is patched beyond its end.' });
    await this.write([bytes], offset);
  }

  /** @throws AppError `storage-unavailable` */
  async read(range: ByteRange): Promise<Uint8Array> {
    if (!this.file) return new Uint8Array(0);
    try {
      return await this.file.read(within(range, this.size));
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
      kept = (await this.opened()).sizeBytes;
    } catch (error) {
      throw storageError(error);
    }
    if (kept !== this.size) throw new AppError('storage-full', { detail: 'The storage did not keep all that was written.' });
  }

  /** Throws as `rename` of the file system does. */
  async moveTo(target: string): Promise<void> {
    await rename(this.path, target);
  }

  /** Closes the file; if it still has its name, it stays. Harmless a second time. */
  close(): void {
    this.closed = true;
    this.file?.close();
    this.file = undefined;
  }

  /** Harmless a second time, and after the file has moved. */
  async discard(): Promise<void> {
    if (!this.file) {
      this.closed = true;
      return;
    }
    // A file that cannot be removed is swept at a later start.
    await unlink(this.path).catch(() => undefined);
    this.close();
  }

  private async write(chunks: Uint8Array[], offset: number): Promise<void> {
    try {
      await writeFully(await this.opened(), chunks, offset);
    } catch (error) {
      throw storageError(error);
    }
  }

  private async opened(): Promise<OpenFile> {
    // Whoever writes on after the draft was dropped would make a file that nobody removes.
    if (this.closed) throw new AppError('internal', { detail: 'A draft is used after its end.' });
    return (this.file ??= await OpenFile.open(this.path, 'wx+', 0o600));
  }
}

/** An object whose bytes wait in a file of this machine; how they become an object is for the store to say. */
export abstract class DraftInFile implements ObjectDraft {
  constructor(protected readonly file: DraftFile) {}

  append(...chunks: Uint8Array[]): Promise<void> {
    return this.file.append(...chunks);
  }

  patch(offset: number, bytes: Uint8Array): Promise<void> {
    return this.file.patch(offset, bytes);
  }

  read(range: ByteRange): Promise<Uint8Array> {
    return this.file.read(range);
  }

  abort(): Promise<void> {
    return this.file.discard();
  }

  abstract commit(key: string): Promise<void>;
}

/** The part of a range that lies within `sizeBytes`. */
export function within({ offset, length }: ByteRange, sizeBytes: number): ByteRange {
  return { offset, length: Math.max(0, Math.min(length, sizeBytes - offset)) };
}
