import { pipeline } from 'node:stream/promises';
import { crc32, createInflateRaw } from 'node:zlib';
import { AppError } from '../../kernel/errors.js';
import { assertPlausibleRatio, judgeEntry, type ArchiveLimits, type ArchiveMember } from './archive-guard.js';
import type { BlockReader } from './block-reader.js';
import { exhaust } from './byte-source.js';
import { inflateError } from './gunzip.js';

/** PKWARE APPNOTE 4.3.7 and 4.3.9. */
const LOCAL_HEADER = 0x04034b50;
const LOCAL_HEADER_BYTES = 30;
const DESCRIPTOR = 0x08074b50;
const DIRECTORY_HEADER = 0x02014b50;
const SIZES_FOLLOW = 0x08;
const ENCRYPTED = 0x01;
const UTF8_NAME = 0x800;
const DEFLATED = 8;
const UNKNOWN_SIZE = 0xffffffff;

interface LocalEntry {
  name: string;
  flags: number;
  method: number;
  crc32: number;
  /** null when only the data themselves tell where they end. */
  compressedBytes: number | null;
  inflatedBytes: number;
  dataStart: number;
}

/**
 * Reads an archive whose directory is missing by the headers that stand before each entry.
 *
 * @throws AppError `invalid-archive` always, at the end: nobody knows what came behind the break; `archive-bomb`; what
 * `archive` throws
 */
export async function* salvageArchive(archive: BlockReader, limits: ArchiveLimits): AsyncGenerator<ArchiveMember> {
  yield* new SalvageWalk(archive, limits).members();
  throw new AppError('invalid-archive', { detail: 'The archive is not complete.' });
}

class SalvageWalk {
  private at = 0;
  private entries = 0;

  constructor(private readonly archive: BlockReader, private readonly limits: ArchiveLimits) {}

  async *members(): AsyncGenerator<ArchiveMember> {
    for (let entry = await this.next(); entry; entry = await this.next()) {
      if (++this.entries > this.limits.entries) throw new AppError('archive-bomb', { detail: `An archive may hold ${String(this.limits.entries)} entries.` });
      const { name, flags, method, compressedBytes, inflatedBytes } = entry;
      const verdict = judgeEntry({ name, compressedBytes: compressedBytes ?? Infinity, inflatedBytes, method, encrypted: (flags & ENCRYPTED) !== 0 });
      const content = this.content(entry);
      try {
        if (verdict.kind === 'refuse') yield { name, refusal: new AppError(verdict.code, { detail: verdict.detail }) };
        if (verdict.kind === 'take') yield { name, content };
        if (compressedBytes !== null) this.at = entry.dataStart + compressedBytes;
        // Where the next entry begins shows only when this one was inflated.
        else if (method !== DEFLATED || !(await reachesEnd(content)) || this.at <= entry.dataStart) return;
      } finally {
        await content.return(undefined);
      }
    }
  }

  private async next(): Promise<LocalEntry | undefined> {
    const header = await this.archive.read(this.at, LOCAL_HEADER_BYTES);
    if (header.length < LOCAL_HEADER_BYTES || header.readUInt32LE(0) !== LOCAL_HEADER) return undefined;
    const flags = header.readUInt16LE(6);
    const nameLength = header.readUInt16LE(26);
    const name = await this.archive.read(this.at + LOCAL_HEADER_BYTES, nameLength);
    if (name.length < nameLength) return undefined;
    const compressedBytes = header.readUInt32LE(18);
    return {
      name: name.toString((flags & UTF8_NAME) !== 0 ? 'utf8' : 'latin1'),
      flags,
      method: header.readUInt16LE(8),
      crc32: header.readUInt32LE(14),
      compressedBytes: (flags & SIZES_FOLLOW) !== 0 || compressedBytes === UNKNOWN_SIZE ? null : compressedBytes,
      inflatedBytes: header.readUInt32LE(22),
      dataStart: this.at + LOCAL_HEADER_BYTES + nameLength + header.readUInt16LE(28),
    };
  }

  private async *content(entry: LocalEntry): AsyncGenerator<Uint8Array> {
    const { dataStart, compressedBytes, method } = entry;
    const size = this.archive.sizeBytes;
    const end = compressedBytes === null ? size : dataStart + compressedBytes;
    if (end > size) throw truncated();
    if (end === dataStart) return;
    const source = this.archive.stream(dataStart, end);
    const inflate = method === DEFLATED ? createInflateRaw() : undefined;
    const feeding = inflate && pipeline(source, inflate);
    feeding?.catch(() => undefined);
    let checksum = 0;
    let inflatedBytes = 0;
    try {
      for await (const chunk of inflate ?? source) {
        // Readables in byte mode give buffers.
        const bytes = chunk as Buffer;
        inflatedBytes += bytes.length;
        if (inflate) assertPlausibleRatio(inflatedBytes, inflate.bytesWritten);
        this.limits.budget.spend(bytes.length);
        checksum = crc32(bytes, checksum);
        yield bytes;
      }
    } catch (error) {
      throw inflateError(error);
    } finally {
      source.destroy();
      inflate?.destroy();
    }
    const expected = compressedBytes === null ? await this.descriptor(dataStart + (inflate?.bytesWritten ?? 0)) : entry.crc32;
    if (checksum !== expected) throw new AppError('invalid-archive', { detail: 'The checksum of the entry is wrong.' });
  }

  /** Reads the checksum behind the data and stands where the next entry begins: sizes have four or eight bytes, the mark is optional. */
  private async descriptor(at: number): Promise<number> {
    const bytes = await this.archive.read(at, 28);
    const marked = bytes.length >= 4 && bytes.readUInt32LE(0) === DESCRIPTOR;
    const start = marked ? 4 : 0;
    if (bytes.length < start + 12) throw truncated();
    const wide = bytes.length >= start + 24 && [LOCAL_HEADER, DIRECTORY_HEADER].includes(bytes.readUInt32LE(start + 20));
    this.at = at + start + (wide ? 20 : 12);
    return bytes.readUInt32LE(start);
  }
}

/** False when the rest cannot be inflated. A generator that was read to its end gives nothing more. */
async function reachesEnd(content: AsyncGenerator<Uint8Array>): Promise<boolean> {
  try {
    await exhaust(content);
    return true;
  } catch (error) {
    if (error instanceof AppError) return false;
    throw error;
  }
}

function truncated(): AppError {
  return new AppError('truncated-file', { detail: 'The archive ends within this entry.' });
}
