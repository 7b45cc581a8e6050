import { Injectable } from '@nestjs/common';
import { AppError, type ErrorCode } from '../../kernel/errors.js';
import { ExpiringCache } from '../../kernel/expiring-cache.js';
import { groupBy } from '../../kernel/group-by.js';
import { KeyVault } from '../../platform/crypto/key-vault.js';
import { isUnstorable } from '../../platform/database/database-errors.js';
import { Database } from '../../platform/database/database.js';
import { BlobStore, type BlobDraft } from '../../platform/storage/blob-store.js';
import { haveSameDataSet } from './data-set-equality.js';
import { outcomeOf, type Failure, type Fate, type InstanceIdentity } from './fate.js';
import { ImagePolicyStore } from './image-policy.store.js';
import type { InstanceRecord } from './instance-record.js';
import { InstancesStore, type KnownInstance } from './instances.store.js';
import { TombstonesStore } from './tombstones.store.js';

/** An instance whose bytes are a draft and whose rows are ready. */
export interface Candidate {
  draft: BlobDraft;
  identity: InstanceIdentity;
  record: InstanceRecord;
}

export type Outcome = Fate | Failure;
type Outcomes = Map<Candidate, Outcome>;

/** What is stored cannot be compared any more; only its replacement would mend that. */
const UNREADABLE: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['blob-missing', 'blob-corrupt', 'key-destroyed']);

/** Well before a reservation ends. */
const RENEWAL_MS = 180_000;

/** A changed image policy holds everywhere after this. */
const POLICY_LIFETIME_MS = 2_000;

/**
 * Makes instances durable, then visible. A blob begins as a tombstone that is committed before its bytes and goes away in the
 * transaction that inserts its row: a crash, wherever it strikes, leaves bytes that the sweep knows of, and never a row without.
 */
@Injectable()
export class InstanceCommitter {
  private readonly policies = new ExpiringCache<'reject' | 'replace'>(POLICY_LIFETIME_MS, 10_000);

  constructor(
    private readonly database: Database,
    private readonly instances: InstancesStore,
    private readonly tombstones: TombstonesStore,
    private readonly vault: KeyVault,
    private readonly blobs: BlobStore,
    private readonly imagePolicies: ImagePolicyStore,
  ) {}

  /**
   * What is wrong with one candidate is not the others' trouble, whoever sent them.
   *
   * @param candidates  of one institution
   * @returns what became of each
   * @throws AppError `database-unavailable`; then it is not known of any
   */
  async commit(candidates: readonly Candidate[]): Promise<ReadonlyMap<Candidate, Outcome>> {
    const outcomes: Outcomes = new Map();
    let waiting = [...candidates];
    while (waiting.length > 0) {
      // The same SOP Instance UID twice: the second meets what the first has left.
      const round = [...new Map([...waiting].reverse().map((one) => [one.record.sopInstanceUid, one])).values()].reverse();
      waiting = waiting.filter((one) => !round.includes(one));
      await this.commitRound(round, outcomes);
    }
    return outcomes;
  }

  private async commitRound(round: readonly Candidate[], outcomes: Outcomes): Promise<void> {
    const [first] = round;
    if (!first) return;
    const { institutionId } = first.record;
    const known = await this.instances.find(institutionId, round.map(({ record }) => record.sopInstanceUid));
    const fresh: Candidate[] = [];
    for (const one of round) {
      const there = known.get(one.record.sopInstanceUid);
      if (!there) fresh.push(one);
      else outcomes.set(one, await this.meet(one, there).catch((error: unknown) => outcomeOf(error, one.identity)));
    }
    if (fresh.length === 0) return;
    const lost = await this.withBlobs(institutionId, fresh, outcomes, (durable) => this.insertAll(durable, outcomes));
    if (lost.length === 0) return;
    // Another request stored these first.
    const winners = await this.instances.find(institutionId, lost.map(({ record }) => record.sopInstanceUid));
    for (const one of lost) {
      const winner = winners.get(one.record.sopInstanceUid);
      outcomes.set(one, winner ? compared(one, winner) : outcomeOf(new AppError('study-deleted', { detail: 'The study was deleted while this instance arrived.' }), one.identity));
    }
  }

  /** Same bytes are a success that changes nothing; other bytes are what the institution says they are. */
  private async meet(one: Candidate, known: KnownInstance): Promise<Outcome> {
    const fate = compared(one, known);
    if (fate.status === 'refused' && fate.code === 'instance-conflict' && (await this.sameDataSet(one, known))) return { status: 'duplicate', ...one.identity };
    // What we made of a result stays what we made.
    if (fate.status !== 'refused' || fate.code !== 'instance-conflict' || known.derived || (await this.policyOf(one.record.institutionId)) !== 'replace') return fate;
    if (known.seriesInstanceUid !== one.record.series.seriesInstanceUid) return outcomeOf(new AppError('instance-conflict', { detail: 'The stored instance belongs to another series.' }), one.identity);
    const { institutionId, key, blobKey } = one.record;
    const index = await this.vault.blindIndex(institutionId);
    const outcomes: Outcomes = new Map();
    await this.withBlobs(institutionId, [one], outcomes, async ([durable]) => {
      if (!durable) return;
      const replaced = await this.database.transaction({ institutionId }, async (tx) => {
        if (!(await this.instances.replace(tx, known, one.record, index))) return false;
        await this.vault.hold(tx, key);
        await this.claim(tx, [blobKey]);
        return true;
      });
      outcomes.set(one, replaced ? { status: 'stored', ...one.identity } : fate);
    });
    return outcomes.get(one) ?? fate;
  }

  /** The same instance that came another way has other File Meta Information. What cannot be read any more is not the same. */
  private async sameDataSet({ draft, record: { sizeBytes } }: Candidate, known: KnownInstance): Promise<boolean> {
    try {
      const stored = await this.blobs.open(known.blobKey);
      try {
        return await haveSameDataSet({ sizeBytes, read: (range) => draft.read(range) }, stored);
      } finally {
        await stored.close();
      }
    } catch (error) {
      if (error instanceof AppError && UNREADABLE.has(error.code)) return false;
      throw error;
    }
  }

  /**
   * In one transaction; when that fails, study by study, and at last one by one.
   *
   * @returns those whose SOP Instance UID was taken meanwhile
   */
  private async insertAll(fresh: readonly Candidate[], outcomes: Outcomes): Promise<Candidate[]> {
    try {
      return await this.insertTogether(fresh, outcomes);
    } catch (error) {
      if (error instanceof AppError && error.status >= 500) throw error;
      const [one, ...others] = fresh;
      if (!one) return [];
      if (others.length === 0) {
        outcomes.set(one, outcomeOf(isUnstorable(error) ? new AppError('invalid-dicom', { detail: 'The values of the data set cannot be stored.', cause: error }) : error, one.identity));
        return [];
      }
      const studies = groupBy(fresh, ({ record }) => record.study.studyInstanceUid);
      const lost: Candidate[] = [];
      for (const part of studies.size > 1 ? studies.values() : fresh.map((single) => [single])) lost.push(...(await this.insertAll(part, outcomes)));
      return lost;
    }
  }

  private async insertTogether(candidates: readonly Candidate[], outcomes: Outcomes): Promise<Candidate[]> {
    const [first, ...rest] = candidates.map(({ record }) => record);
    if (!first) return [];
    const index = await this.vault.blindIndex(first.institutionId);
    const inserted = await this.database.transaction({ institutionId: first.institutionId }, async (tx) => {
      const done = await this.instances.insert(tx, [first, ...rest], index);
      // Behind the studies' rows, as whoever deletes a study takes them too.
      await this.vault.hold(tx, first.key, ...rest.map(({ key }) => key));
      await this.claim(tx, candidates.map(({ record }) => record).filter(({ sopInstanceUid }) => done.has(sopInstanceUid)).map(({ blobKey }) => blobKey));
      return done;
    });
    for (const one of candidates) if (inserted.has(one.record.sopInstanceUid)) outcomes.set(one, { status: 'stored', ...one.identity });
    return candidates.filter(({ record }) => !inserted.has(record.sopInstanceUid));
  }

  private async claim(tx: Parameters<TombstonesStore['claim']>[0], blobKeys: readonly string[]): Promise<void> {
    if (!(await this.tombstones.claim(tx, blobKeys))) throw new AppError('storage-unavailable', { detail: 'Storing took too long.' });
  }

  /**
   * Makes the bytes durable before `work`, which gets those for which that succeeded. What no row claimed afterwards is left to the
   * next sweep.
   */
  private async withBlobs<T>(institutionId: string, candidates: readonly Candidate[], outcomes: Outcomes, work: (durable: readonly Candidate[]) => Promise<T>): Promise<T> {
    const keyOf = ({ record }: Candidate): string => record.blobKey;
    const blobKeys = candidates.map(keyOf);
    await this.tombstones.reserve(institutionId, blobKeys);
    const renewal = setInterval(() => { this.tombstones.extend(institutionId, blobKeys).catch(() => undefined); }, RENEWAL_MS);
    // To their ends, all of them: what is still being written when its tombstone goes would stay for ever.
    const commits = await Promise.allSettled(candidates.map(({ draft, record }) => draft.commit(record.blobKey, record.key)));
    clearInterval(renewal);
    const durable: Candidate[] = [];
    for (const [index, one] of candidates.entries()) {
      const commit = commits[index];
      if (commit?.status === 'rejected') outcomes.set(one, outcomeOf(commit.reason, one.identity));
      else durable.push(one);
    }
    try {
      return await work(durable);
    } finally {
      // Whether a failed commit reached the database is not known; the tombstone is, so the sweep decides, not we.
      const unclaimed = candidates.filter((one) => outcomes.get(one)?.status !== 'stored').map(keyOf);
      if (unclaimed.length > 0) await this.tombstones.release(institutionId, unclaimed).catch(() => undefined);
    }
  }

  private async policyOf(institutionId: string): Promise<'reject' | 'replace'> {
    const policy = await this.policies.get(institutionId, async () => {
      return (await this.imagePolicies.find(institutionId)).onConflict;
    });
    return policy ?? 'reject';
  }
}

function compared({ record, identity }: Candidate, known: KnownInstance): Fate {
  if (known.sha256 === record.sha256) return { status: 'duplicate', ...identity };
  const code = known.studyInstanceUid === identity.studyInstanceUid ? 'instance-conflict' : 'wrong-study';
  return { status: 'refused', ...identity, code, ...(code === 'wrong-study' && { detail: 'An instance with this SOP Instance UID is stored in another study.' }) };
}
