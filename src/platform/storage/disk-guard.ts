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
  /** All free blocks. */
  bfree: number;
  /** All blocks. */
  blocks: number;
}

/** Of a file system. */
export interface Room {
  freeBytes: number;
  /** Without what is reserved for root, so that it is full when nothing is free. */
  sizeBytes: number;
}

/**
 * Keeps the last bytes of a file system for what must go on when it fills: the database beside the blobs, logs, and the
 * deletions that make room again.
 */
export class DiskGuard {
  private answer: { room: Promise<Room>; until: number } | undefined;

  /** @param folder  any that exists on the file system */
  constructor(
    private readonly folder: string,
    private readonly reserveBytes: number,
    private readonly ask: (folder: string) => Promise<FileSystemRoom> = statfs,
  ) {}

  /** @throws AppError `storage-full` when no more than the reserve is left, `storage-unavailable` */
  async assertRoom(): Promise<void> {
    const { freeBytes } = await this.room();
    if (freeBytes <= this.reserveBytes) throw new AppError('storage-full', { detail: 'Too little room is left on the storage to take anything more.' });
  }

  /** As of a second ago at most. @throws AppError `storage-unavailable` */
  room(): Promise<Room> {
    if (this.answer && this.answer.until > Date.now()) return this.answer.room;
    const answer = { room: this.measure(), until: Date.now() + FRESH_MS };
    this.answer = answer;
    // A failure is not kept: the next caller asks again.
    answer.room.catch(() => { answer.until = 0; });
    return answer.room;
  }

  private async measure(): Promise<Room> {
    try {
      const { bsize, bavail, bfree, blocks } = await this.ask(this.folder);
      return { freeBytes: bsize * bavail, sizeBytes: bsize * (blocks - bfree + bavail) };
    } catch (error) {
      throw storageError(error);
    }
  }
}
