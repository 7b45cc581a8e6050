import { AppError, type ErrorCode } from '../../kernel/errors.js';
import type { ByteSource } from './byte-source.js';

/** One file of an archive; `content` is to be read before the next member is asked for, or not at all. */
export type ArchiveMember = { name: string; content: ByteSource } | { name: string; refusal: AppError };

export interface ArchiveLimits {
  entries: number;
  /** Of the request, which may carry several archives. */
  budget: InflationBudget;
}

/** The inflated bytes that one request may make, over all its archives and gzip files, those inside of archives included. */
export class InflationBudget {
  private spentBytes = 0;

  constructor(private readonly limitBytes: number) {}

  /** Takes `bytes` off, or nothing when they are more than is left. @throws AppError `archive-bomb` */
  spend(bytes: number): void {
    if (this.spentBytes + bytes > this.limitBytes) throw new AppError('archive-bomb', { detail: `The compressed files of a request may expand to ${String(this.limitBytes)} bytes.` });
    this.spentBytes += bytes;
  }
}

/** Deflate cannot do better than 1032:1, so what comes near it beyond a few megabytes is padding with intent. */
const MAX_RATIO = 1000;
const RATIO_MATTERS_FROM_BYTES = 10 * 1024 * 1024;

/** @throws AppError `archive-bomb` above 1000:1, once 10 MiB came out */
export function assertPlausibleRatio(inflatedBytes: number, compressedBytes: number): void {
  if (inflatedBytes > RATIO_MATTERS_FROM_BYTES && inflatedBytes > compressedBytes * MAX_RATIO) throw new AppError('archive-bomb');
}

/** What the directory of an archive says of an entry. */
export interface EntryHeader {
  name: string;
  compressedBytes: number;
  inflatedBytes: number;
  /** PKWARE APPNOTE 4.4.5. */
  method: number;
  encrypted: boolean;
}

export type EntryVerdict = { kind: 'take' | 'skip' } | { kind: 'refuse'; code: ErrorCode; detail: string };

const STORED = 0;
const DEFLATED = 8;

/** Whether an entry is worth opening. Entries never become files by their name; unsafe names are refused all the same. */
export function judgeEntry({ name, compressedBytes, inflatedBytes, method, encrypted }: EntryHeader): EntryVerdict {
  if (isUnsafePath(name)) return { kind: 'refuse', code: 'unsafe-archive-path', detail: 'The path is absolute, climbs up, or holds a backslash.' };
  if (isBoilerplate(name)) return { kind: 'skip' };
  if (encrypted) return { kind: 'refuse', code: 'invalid-archive', detail: 'The entry is encrypted.' };
  if (method !== STORED && method !== DEFLATED) return { kind: 'refuse', code: 'invalid-archive', detail: `Compression method ${String(method)} is not supported.` };
  if (inflatedBytes > RATIO_MATTERS_FROM_BYTES && inflatedBytes > compressedBytes * MAX_RATIO) return { kind: 'refuse', code: 'archive-bomb', detail: 'The entry expands more than a thousandfold.' };
  return { kind: 'take' };
}

export function isUnsafePath(name: string): boolean {
  return name.startsWith('/') || /^[A-Za-z]:/.test(name) || name.includes('\\') || name.includes('\0') || name.split('/').includes('..');
}

/** Folders, hidden files, what macOS adds, and the index of a DICOM medium, which is no instance. PS3.10 §8.6 */
function isBoilerplate(name: string): boolean {
  const parts = name.split('/');
  const file = parts.at(-1) ?? '';
  return file === '' || file.startsWith('.') || parts.includes('__MACOSX') || file.toUpperCase() === 'DICOMDIR' || file === 'Thumbs.db';
}
