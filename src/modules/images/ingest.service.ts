import { Injectable } from '@nestjs/common';
import { parseInstance, type ParsedInstance } from '../../imaging/dicom/header.js';
import { pixelCodingOf } from '../../imaging/dicom/transfer-syntax.js';
import { AppError } from '../../kernel/errors.js';
import { Rounds } from '../../kernel/rounds.js';
import { KeyVault, type DataKey } from '../../platform/crypto/key-vault.js';
import { Metrics } from '../../platform/ops/metrics.js';
import { currentTraceparent, withSpan } from '../../platform/ops/tracing.js';
import { BlobStore, type BlobDigest, type BlobDraft } from '../../platform/storage/blob-store.js';
import { blobKeyOf } from './blob-key.js';
import type { ByteSource } from './byte-source.js';
import { outcomeOf, refusalOf, type Failure, type Fate, type InstanceIdentity, type Refusal } from './fate.js';
import { InstanceCommitter, type Candidate, type Outcome } from './instance-committer.js';
import { instanceRecord } from './instance-record.js';

export interface IngestTarget {
  institutionId: string;
  /** Any other study is refused as `wrong-study`. */
  studyInstanceUid?: string;
}

/** An instance that was received and read, and is nowhere to be seen yet. Either `store` it or drop its draft. */
export interface StagedInstance {
  draft: BlobDraft;
  digest: BlobDigest;
  parsed: ParsedInstance;
  target: IngestTarget;
  /** The span that stores it: a round stores for several requests, in the name of one. */
  traceparent?: string;
}

/** Storing costs about the same for one instance as for many: two transactions, and names made durable. */
const ROUNDS = { atOnce: 2, items: 64 };
/** Beyond this the bytes are what takes time, and others do not wait for them. */
const LARGE_BYTES = 32 << 20;

/** The one way in: whatever brings an instance, upload, STOW-RS, DIMSE or the command line, ends here. */
@Injectable()
export class IngestService {
  /** By institution, while something is stored there. */
  private readonly rounds = new Map<string, Rounds<StagedInstance, Outcome>>();

  constructor(
    private readonly blobs: BlobStore,
    private readonly vault: KeyVault,
    private readonly committer: InstanceCommitter,
    private readonly metrics: Metrics,
  ) {}

  /**
   * Stores one DICOM file. Bytes first, then rows, then the answer; in memory there is never more than a stretch of the file.
   * What is wrong with the file is its fate; what is wrong with us or with the client's connection is thrown.
   *
   * @throws AppError `storage-full`, `storage-unavailable`, `database-unavailable`; whatever `source` throws but 409 and 422
   */
  async ingest(source: ByteSource, target: IngestTarget): Promise<Fate> {
    const staged = await this.stage(source, target);
    if ('status' in staged) return staged;
    const [fate] = await this.store([staged]);
    if (!fate) throw new Error('an instance was stored without a fate');
    return fate;
  }

  /**
   * Receives and reads one file, and shows it to nobody: several can be stored together. Throws as `ingest` does.
   *
   * @returns its refusal when something is wrong with it
   */
  async stage(source: ByteSource, target: IngestTarget): Promise<StagedInstance | Refusal> {
    const draft = await this.blobs.begin();
    let identity: InstanceIdentity | undefined;
    try {
      const digest = await draft.write(source);
      const parsed = await readHeader(draft, digest.sizeBytes);
      identity = identityOf(parsed);
      assertAcceptable(parsed, target);
      return { draft, digest, parsed, target };
    } catch (error) {
      await draft.abort();
      const refusal = refusalOf(error, identity);
      if (!refusal) throw error;
      this.observe(refusal);
      return refusal;
    }
  }

  /**
   * Makes staged instances durable and visible; what other requests of the institution bring at the same time goes with them. Their
   * drafts are gone afterwards, however it ends. Throws as `ingest` does; then it is not known which of them are stored.
   *
   * @param instances  of one institution
   * @returns their fates, in their order
   */
  async store(instances: readonly StagedInstance[]): Promise<readonly Fate[]> {
    const [first] = instances;
    if (!first) return [];
    const { institutionId } = first.target;
    const outcomes = await withSpan('commit instances', { 'healthvision.instances': instances.length }, () => {
      const traceparent = currentTraceparent();
      if (traceparent !== undefined) for (const one of instances) one.traceparent = traceparent;
      return instances.some(({ digest }) => digest.sizeBytes > LARGE_BYTES) ? this.storeTogether(institutionId, instances) : this.storeInRound(institutionId, instances);
    });
    return outcomes.map((outcome) => {
      if (outcome.status === 'failed') throw outcome.error;
      return outcome;
    });
  }

  private async storeInRound(institutionId: string, instances: readonly StagedInstance[]): Promise<readonly Outcome[]> {
    const rounds = this.rounds.get(institutionId) ?? new Rounds((together) => this.storeTogether(institutionId, together), ROUNDS);
    this.rounds.set(institutionId, rounds);
    try {
      return await rounds.take(instances);
    } finally {
      if (rounds.isIdle) this.rounds.delete(institutionId);
    }
  }

  private async storeTogether(institutionId: string, instances: readonly StagedInstance[]): Promise<readonly Outcome[]> {
    try {
      const studies = new Set(instances.map(({ parsed }) => parsed.studyInstanceUid));
      const keys = new Map(await this.vault.keysOfStudies(institutionId, [...studies]));
      const candidates: (Candidate | Refusal | Failure)[] = [];
      for (const staged of instances) candidates.push(await this.candidateOf(staged, keys));
      const committed = await this.committer.commit(candidates.filter((one): one is Candidate => !('status' in one)));
      const outcomes = candidates.map((one): Outcome => {
        const outcome = 'status' in one ? one : committed.get(one);
        if (!outcome) throw new Error('an instance was committed without a fate');
        return outcome;
      });
      for (const [index, outcome] of outcomes.entries()) if (outcome.status !== 'failed') this.observe(outcome, instances[index]?.digest.sizeBytes);
      return outcomes;
    } finally {
      await Promise.all(instances.map(({ draft }) => draft.abort()));
    }
  }

  /** Counts what was refused before it came to `ingest`. */
  observe(fate: Fate, sizeBytes = 0): void {
    this.metrics.ingestedInstances.inc({ outcome: fate.status === 'refused' ? fate.code : fate.status });
    if (fate.status === 'stored') this.metrics.ingestedBytes.inc(sizeBytes);
  }

  /** @param keys  that studies have, by UID; those that are made join them */
  private async candidateOf({ draft, digest, parsed, traceparent, target: { institutionId } }: StagedInstance, keys: Map<string, DataKey>): Promise<Candidate | Refusal | Failure> {
    const identity = identityOf(parsed);
    try {
      const key = keys.get(parsed.studyInstanceUid) ?? (await this.vault.firstKeyOfStudy(institutionId, parsed.studyInstanceUid));
      keys.set(parsed.studyInstanceUid, key);
      const blobKey = blobKeyOf(institutionId, parsed.studyInstanceUid);
      return { draft, identity, record: instanceRecord(parsed, { institutionId, key, blobKey, derived: false, traceparent, ...digest }) };
    } catch (error) {
      return outcomeOf(error, identity);
    }
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
