import { Injectable } from '@nestjs/common';
import { AppError } from '../../kernel/errors.js';
import { ExpiringCache } from '../../kernel/expiring-cache.js';
import { groupBy } from '../../kernel/group-by.js';
import { KeyVault } from '../../platform/crypto/key-vault.js';
import { Database } from '../../platform/database/database.js';
import { BlobStore, type BlobDraft } from '../../platform/storage/blob-store.js';
import { haveSameDataSet } from './data-set-equality.js';
import { refusalOf, type Fate, type InstanceIdentity } from './fate.js';
import type { InstanceRecord } from './instance-record.js';
import { InstancesStore, type KnownInstance } from './instances.store.js';
import { TombstonesStore } from './tombstones.store.js';

/** An instance whose bytes are a draft and whose rows are ready. */
export interface Candidate {
  draft: BlobDraft;
  identity: InstanceIdentity;
  record: InstanceRecord;
}

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
  ) {}

  /**
   * @param candidates  of one institution
   * @returns the fate of each
   * @throws AppError `storage-full`, `storage-unavailable`, `database-unavailable`
   */
  async commit(candidates: readonly Candidate[]): Promise<ReadonlyMap<Candidate, Fate>> {
    const fates = new Map<Candidate, Fate>();
    let waiting = [...candidates];
    while (waiting.length > 0) {
      // The same SOP Instance UID twice: the second meets what the first has left.
      const round = [...new Map([...waiting].reverse().map((one) => [one.record.sopInstanceUid, one])).values()].reverse();
      waiting = waiting.filter((one) => !round.includes(one));
      await this.commitRound(round, fates);
    }
    return fates;
  }

  private async commitRound(round: readonly Candidate[], fates: Map<Candidate, Fate>): Promise<void> {
    const [first] = round;
    if (!first) return;
    const { institutionId } = first.record;
    const known = await this.instances.find(institutionId, round.map(({ record }) => record.sopInstanceUid));
    const fresh: Candidate[] = [];
    for (const one of round) {
      const there = known.get(one.record.sopInstanceUid);
      if (!there) fresh.push(one);
      else fates.set(one, await this.meet(one, there));
    }
    if (fresh.length === 0) return;
    const lost = await this.withBlobs(fresh, () => this.insertAll(fresh, fates), () => fresh.every((one) => fates.get(one)?.status === 'stored'));
    if (lost.length === 0) return;
    // Another request stored these first.
    const winners = await this.instances.find(institutionId, lost.map(({ record }) => record.sopInstanceUid));
    for (const one of lost) {
      const winner = winners.get(one.record.sopInstanceUid);
      fates.set(one, winner ? compared(one, winner) : refused(one, new AppError('study-deleted', { detail: 'The study was deleted while this instance arrived.' })));
    }
  }

  /** Same bytes are a success that changes nothing; other bytes are what the institution says they are. */
  private async meet(one: Candidate, known: KnownInstance): Promise<Fate> {
    const fate = compared(one, known);
    if (fate.status === 'refused' && fate.code === 'instance-conflict' && (await this.sameDataSet(one, known))) return { status: 'duplicate', ...one.identity };
    if (fate.status !== 'refused' || fate.code !== 'instance-conflict' || (await this.policyOf(one.record.institutionId)) !== 'replace') return fate;
    if (known.seriesInstanceUid !== one.record.series.seriesInstanceUid) return refused(one, new AppError('instance-conflict', { detail: 'The stored instance belongs to another series.' }));
    const { institutionId, key, blobKey } = one.record;
    const index = await this.vault.blindIndex(institutionId);
    try {
      const replaced = await this.withBlobs([one], () => this.database.transaction({ institutionId }, async (tx) => {
        if (!(await this.instances.replace(tx, known, one.record, index))) return false;
        await this.vault.hold(tx, key);
        await this.claim(tx, [blobKey]);
        return true;
      }), (done) => done);
      return replaced ? { status: 'stored', ...one.identity } : fate;
    } catch (error) {
      return refused(one, error);
    }
  }

  /** The same instance that came another way has other File Meta Information. */
  private async sameDataSet({ draft, record: { sizeBytes } }: Candidate, known: KnownInstance): Promise<boolean> {
    const stored = await this.blobs.open(known.blobKey);
    try {
      return await haveSameDataSet({ sizeBytes, read: (range) => draft.read(range) }, stored);
    } finally {
      await stored.close();
    }
  }

  /** @returns those whose SOP Instance UID was taken meanwhile */
  private async insertAll(fresh: readonly Candidate[], fates: Map<Candidate, Fate>): Promise<Candidate[]> {
    const studies = groupBy(fresh, ({ record }) => record.study.studyInstanceUid);
    try {
      return await this.insertTogether(fresh, fates);
    } catch (error) {
      if (studies.size === 1) return this.refuseAll(fresh, error, fates);
    }
    // What is wrong with one study is not the others' trouble.
    const lost: Candidate[] = [];
    for (const group of studies.values()) lost.push(...(await this.insertTogether(group, fates).catch((error: unknown) => this.refuseAll(group, error, fates))));
    return lost;
  }

  private refuseAll(candidates: readonly Candidate[], error: unknown, fates: Map<Candidate, Fate>): [] {
    for (const one of candidates) fates.set(one, refused(one, error));
    return [];
  }

  private async insertTogether(candidates: readonly Candidate[], fates: Map<Candidate, Fate>): Promise<Candidate[]> {
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
    for (const one of candidates) if (inserted.has(one.record.sopInstanceUid)) fates.set(one, { status: 'stored', ...one.identity });
    return candidates.filter(({ record }) => !inserted.has(record.sopInstanceUid));
  }

  private async claim(tx: Parameters<TombstonesStore['claim']>[0], blobKeys: readonly string[]): Promise<void> {
    if (!(await this.tombstones.claim(tx, blobKeys))) throw new AppError('storage-unavailable', { detail: 'Storing took too long.' });
  }

  /** Makes the bytes durable before `work`. What no row claimed then is left to the next sweep. */
  private async withBlobs<T>(candidates: readonly Candidate[], work: () => Promise<T>, areClaimed: (done: T) => boolean): Promise<T> {
    const blobKeys = candidates.map(({ record }) => record.blobKey);
    await this.tombstones.reserve(blobKeys);
    let claimed = false;
    try {
      await Promise.all(candidates.map(({ draft, record }) => draft.commit(record.blobKey, record.key)));
      const done = await work();
      claimed = areClaimed(done);
      return done;
    } finally {
      // Whether a failed commit reached the database is not known; the tombstone is, so the sweep decides, not we.
      if (!claimed) await this.tombstones.release(blobKeys).catch(() => undefined);
    }
  }

  private async policyOf(institutionId: string): Promise<'reject' | 'replace'> {
    const policy = await this.policies.get(institutionId, async () => {
      const row = await this.database.client.imagePolicy.findUnique({ where: { institutionId } });
      return row?.onConflict === 'replace' ? 'replace' : 'reject';
    });
    return policy ?? 'reject';
  }
}

function compared({ record, identity }: Candidate, known: KnownInstance): Fate {
  if (known.sha256 === record.sha256) return { status: 'duplicate', ...identity };
  const code = known.studyInstanceUid === identity.studyInstanceUid ? 'instance-conflict' : 'wrong-study';
  return { status: 'refused', ...identity, code, ...(code === 'wrong-study' && { detail: 'An instance with this SOP Instance UID is stored in another study.' }) };
}

/** @throws the error itself when it does not speak of the instance */
function refused({ identity }: Candidate, error: unknown): Fate {
  const refusal = refusalOf(error, identity);
  if (!refusal) throw error;
  return refusal;
}
