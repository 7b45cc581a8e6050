import { statfs } from 'node:fs/promises';
import { AppError } from '../../kernel/errors.js';
import { storageError } from './storage-error.js';

/** How long an answer of the file system counts: at 1 GB/s a disk loses a gigabyte meanwhile, the default reserve. */
const FRESH_MS = 1_000;

/** What is asked of `statfs`. */
export interface FileSystemRoom {
  /** Bytes. */
  bsize: number;
  /** Free blocks for accounts other than root. */
  bavail: number;
}

/**
 * Keeps the last bytes of a file system for what must go on when it fills: the database beside the blobs, logs, and the
 * deletions that make room again.
 */
export class DiskGuard {
  private answer: { freeBytes: Promise<number>; until: number } | undefined;

  /** @param folder  any that exists on the file system */
  constructor(
    private readonly folder: string,
    private readonly reserveBytes: number,
    private readonly ask: (folder: string) => Promise<FileSystemRoom> = statfs,
  ) {}

  /** @throws AppError `storage-full` when no more than the reserve is left, `storage-unavailable` */
  async assertRoom(): Promise<void> {
    const free = await this.freeBytes();
    if (free <= this.reserveBytes) throw new AppError('storage-full', { detail: 'Too little room is left on the storage to take anything more.' });
  }

  /** As of a second ago at most. @throws AppError `storage-unavailable` */
  freeBytes(): Promise<number> {
    if (this.answer && this.answer.until > Date.now()) return this.answer.freeBytes;
    const answer = { freeBytes: this.measure(), until: Date.now() + FRESH_MS };
    this.answer = answer;
    // A failure is not kept: the next caller asks again.
    answer.freeBytes.catch(() => { answer.until = 0; });
    return answer.freeBytes;
  }

  private async measure(): Promise<number> {
    try {
      const { bsize, bavail } = await this.ask(this.folder);
      return bsize * bavail;
    } catch (error) {
      throw storageError(error);
    }
  }
}
