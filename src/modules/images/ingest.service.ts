import { Injectable } from '@nestjs/common';
import { createHash, randomUUID } from 'node:crypto';
import { parseInstance, type ParsedInstance } from '../../imaging/dicom/header.js';
import { pixelCodingOf } from '../../imaging/dicom/transfer-syntax.js';
import { AppError } from '../../kernel/errors.js';
import { Database } from '../../platform/database/database.js';
import { Metrics } from '../../platform/ops/metrics.js';
import { BlobStore, type BlobDigest, type BlobDraft } from '../../platform/storage/blob-store.js';
import type { ByteSource } from './byte-source.js';
import { refusalOf, type Fate, type InstanceIdentity } from './fate.js';
import { instanceRecord } from './instance-record.js';
import { InstancesStore } from './instances.store.js';
import { TombstonesStore } from './tombstones.store.js';

export interface IngestTarget {
  institutionId: string;
  /** Any other study is refused as `wrong-study`. */
  studyInstanceUid?: string;
  /** Made by us out of stored instances: never input of an analysis. */
  derived?: boolean;
}

/** Rolls the transaction back when another request stored the same SOP Instance UID first. */
class AlreadyStored extends Error {}

/** The one way in: whatever brings an instance, upload, STOW-RS or the command line, ends here. */
@Injectable()
export class IngestService {
  constructor(
    private readonly blobs: BlobStore,
    private readonly database: Database,
    private readonly instances: InstancesStore,
    private readonly tombstones: TombstonesStore,
    private readonly metrics: Metrics,
  ) {}

  /**
   * Stores one DICOM file. Bytes first, then rows, then the answer; in memory there is never more than a stretch of the file.
   * What is wrong with the file is its fate; what is wrong with us or with the client's connection is thrown.
   *
   * @throws AppError `storage-full`, `storage-unavailable`, `database-unavailable`; whatever `source` throws but 409 and 422
   */
  async ingest(source: ByteSource, target: IngestTarget): Promise<Fate> {
    const draft = await this.blobs.begin();
    let identity: InstanceIdentity | undefined;
    let fate: Fate;
    let sizeBytes = 0;
    try {
      const digest = await draft.write(source);
      ({ sizeBytes } = digest);
      const parsed = await readHeader(draft, digest.sizeBytes);
      identity = identityOf(parsed);
      assertAcceptable(parsed, target);
      fate = { status: await this.store(draft, digest, parsed, target), ...identity };
    } catch (error) {
      const refusal = refusalOf(error, identity);
      if (!refusal) throw error;
      fate = refusal;
    } finally {
      await draft.abort();
    }
    this.observe(fate, sizeBytes);
    return fate;
  }

  /** Counts what was refused before it came to `ingest`. */
  observe(fate: Fate, sizeBytes = 0): void {
    this.metrics.ingestedInstances.inc({ outcome: fate.status === 'refused' ? fate.code : fate.status });
    if (fate.status === 'stored') this.metrics.ingestedBytes.inc(sizeBytes);
  }

  private async store(draft: BlobDraft, digest: BlobDigest, parsed: ParsedInstance, target: IngestTarget): Promise<'stored' | 'duplicate'> {
    const { institutionId } = target;
    const blobKey = blobKeyOf(institutionId, parsed.studyInstanceUid);
    // First of all, since it may refuse the file: nothing is reserved then that a sweep would have to undo.
    const record = instanceRecord(parsed, { institutionId, blobKey, derived: target.derived ?? false, ...digest });
    const known = await this.database.transaction({ institutionId }, async (tx) => {
      const found = await this.instances.find(tx, institutionId, parsed.sopInstanceUid);
      if (!found) await this.tombstones.reserve(tx, blobKey);
      return found;
    });
    if (known) return assertSame(known, parsed, digest);
    try {
      await draft.commit(blobKey);
      await this.insertRows(record);
      return 'stored';
    } catch (error) {
      // Whether a failed commit reached the database is not known; the tombstone is, so the sweep decides, not we.
      await this.database.transaction({ institutionId }, (tx) => this.tombstones.release(tx, blobKey)).catch(() => undefined);
      if (!(error instanceof AlreadyStored)) throw error;
    }
    const winner = await this.database.transaction({ institutionId }, (tx) => this.instances.find(tx, institutionId, parsed.sopInstanceUid));
    if (!winner) throw new AppError('study-deleted', { detail: 'The study was deleted while this instance arrived.' });
    return assertSame(winner, parsed, digest);
  }

  private insertRows(record: ReturnType<typeof instanceRecord>): Promise<void> {
    return this.database.transaction({ institutionId: record.institutionId }, async (tx) => {
      if (!(await this.tombstones.claim(tx, record.blobKey))) throw new AppError('storage-unavailable', { detail: 'Storing took too long.' });
      if (!(await this.instances.insert(tx, record))) throw new AlreadyStored();
    });
  }
}

/** What the parser may hold of a file at once: an element that must be read whole, or a deflated data set. */
const MAX_HELD_BYTES = 128 * 1024 * 1024;

/** Runs the parser over a draft. @throws what `parseInstance` throws; AppError `invalid-dicom` when it wants too much at once */
async function readHeader(draft: BlobDraft, sizeBytes: number): Promise<ParsedInstance> {
  const parser = parseInstance(sizeBytes, { maxInflatedBytes: MAX_HELD_BYTES });
  let step = parser.next();
  while (step.done !== true) {
    if (step.value.length > MAX_HELD_BYTES) throw new AppError('invalid-dicom', { detail: 'An element or a deflated data set is too large to be read.' });
    step = parser.next(await draft.read(step.value));
  }
  return step.value;
}

function identityOf({ studyInstanceUid, seriesInstanceUid, sopInstanceUid, sopClassUid }: ParsedInstance): InstanceIdentity {
  return { studyInstanceUid, seriesInstanceUid, sopInstanceUid, sopClassUid };
}

/** @throws AppError `wrong-study`, `unsupported-transfer-syntax` */
function assertAcceptable(parsed: ParsedInstance, target: IngestTarget): void {
  if (target.studyInstanceUid !== undefined && parsed.studyInstanceUid !== target.studyInstanceUid) {
    throw new AppError('wrong-study', { detail: 'The instance belongs to another study than the one in the URL.' });
  }
  // Without pixels nothing has to be decoded, so any syntax that could be parsed will do.
  if (parsed.pixelData !== null && pixelCodingOf(parsed.meta.transferSyntaxUid) === undefined) {
    throw new AppError('unsupported-transfer-syntax', { detail: `Transfer syntax ${parsed.meta.transferSyntaxUid.slice(0, 64)} cannot be decoded.` });
  }
}

/** @throws AppError `wrong-study`, `instance-conflict` */
function assertSame(known: { studyInstanceUid: string; sha256: string }, parsed: ParsedInstance, digest: BlobDigest): 'duplicate' {
  if (known.sha256 === digest.sha256) return 'duplicate';
  if (known.studyInstanceUid !== parsed.studyInstanceUid) throw new AppError('wrong-study', { detail: 'An instance with this SOP Instance UID is stored in another study.' });
  throw new AppError('instance-conflict');
}

/** Neighbours of one study lie in one folder; the UID itself never gets into a path. */
function blobKeyOf(institutionId: string, studyInstanceUid: string): string {
  const study = createHash('sha256').update(`${institutionId}/${studyInstanceUid}`).digest('hex').slice(0, 24);
  return `${institutionId}/${study}/${randomUUID()}`;
}
