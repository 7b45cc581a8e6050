import type { Readable } from 'node:stream';
import { crc32 } from 'node:zlib';
import yauzl, { type Entry, type ZipFile } from 'yauzl';
import { AppError } from '../../kernel/errors.js';
import { judgeEntry, type ArchiveLimits, type ArchiveMember } from './archive-guard.js';
import { BlockReader, type RandomAccess } from './block-reader.js';
import { inflateError } from './gunzip.js';
import { salvageArchive } from './salvage-archive.js';

/**
 * The files of a ZIP archive, one after the other, inflated as they are read. What is wrong with one of them is its own
 * refusal. An archive without its directory, which is what a broken upload looks like, gives what stands before the break.
 *
 * @throws AppError `invalid-archive`, `archive-bomb` for the archive as a whole, after the members that could be had; what
 * `archive` throws
 */
export async function* readArchive(archive: RandomAccess, limits: ArchiveLimits): AsyncGenerator<ArchiveMember> {
  const reader = new BlockReader(archive);
  let zip: ZipFile;
  try {
    // Names as bytes: yauzl would end the whole archive at the first unsafe one.
    zip = await yauzl.fromRandomAccessReaderPromise(new ArchiveAccess(reader), reader.sizeBytes, { decodeStrings: false, autoClose: false });
  } catch (error) {
    if (error instanceof AppError) throw error;
    yield* salvageArchive(reader, limits);
    return;
  }
  try {
    if (zip.entryCount > limits.entries) throw new AppError('archive-bomb', { detail: `An archive may hold ${String(limits.entries)} entries.` });
    yield* membersOf(zip, limits);
  } finally {
    zip.close();
  }
}

/** How yauzl reads what is not a file. */
class ArchiveAccess extends yauzl.RandomAccessReader {
  constructor(private readonly reader: BlockReader) {
    super();
  }

  override _readStreamForRange(start: number, end: number): Readable {
    return this.reader.stream(start, end);
  }

  override read(buffer: Buffer, offset: number, length: number, position: number, callback: (error: Error | null) => void): void {
    this.reader.read(position, length).then((bytes) => {
      bytes.copy(buffer, offset);
      callback(bytes.length === length ? null : new Error('The archive ends early.'));
    }, callback);
  }
}

async function* membersOf(zip: ZipFile, limits: ArchiveLimits): AsyncGenerator<ArchiveMember> {
  for await (const entry of directoryOf(zip)) {
    const name = yauzl.getFileNameLowLevel(entry.generalPurposeBitFlag, entry.fileNameRaw, entry.extraFields, true);
    const verdict = judgeEntry({ name, compressedBytes: entry.compressedSize, inflatedBytes: entry.uncompressedSize, method: entry.compressionMethod, encrypted: entry.isEncrypted() });
    if (verdict.kind === 'skip') continue;
    if (verdict.kind === 'refuse') {
      yield { name, refusal: new AppError(verdict.code, { detail: verdict.detail }) };
      continue;
    }
    // The announced size binds: yauzl ends an entry that inflates to more.
    limits.budget.spend(entry.uncompressedSize);
    const content = contentOf(zip, entry);
    try {
      yield { name, content };
    } finally {
      // Ends the stream of an entry that was not read to its end.
      await content.return(undefined);
    }
  }
}

async function* directoryOf(zip: ZipFile): AsyncGenerator<Entry> {
  const entries = zip.eachEntry();
  for (;;) {
    let step: IteratorResult<Entry, unknown>;
    try {
      step = await entries.next();
    } catch (error) {
      if (error instanceof AppError) throw error;
      throw new AppError('invalid-archive', { detail: 'The directory of the archive is damaged.', cause: error });
    }
    if (step.done === true) return;
    yield step.value;
  }
}

async function* contentOf(zip: ZipFile, entry: Entry): AsyncGenerator<Uint8Array, undefined> {
  let stream: Readable | undefined;
  let checksum = 0;
  try {
    stream = await zip.openReadStreamPromise(entry);
    for await (const chunk of stream) {
      // Readables in byte mode give buffers.
      const bytes = chunk as Buffer;
      checksum = crc32(bytes, checksum);
      yield bytes;
    }
  } catch (error) {
    const ours = inflateError(error);
    throw ours instanceof AppError ? ours : new AppError('invalid-archive', { detail: 'The entry is damaged.', cause: error });
  } finally {
    stream?.destroy();
  }
  if (checksum !== entry.crc32) throw new AppError('invalid-archive', { detail: 'The checksum of the entry is wrong.' });
  return undefined;
}
