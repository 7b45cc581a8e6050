import { Inject, Injectable, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import type { KeyObject } from 'node:crypto';
import { setImmediate, setTimeout as wait } from 'node:timers/promises';
import { uuidv7 } from '../../kernel/uid.js';
import { isDatabaseAway } from '../database/database-errors.js';
import { LOGGER, type Logger } from '../ops/logger.js';
import { Metrics } from '../ops/metrics.js';
import { BEGINNING, checkpointText, headMac, hex, sealHash, type Head, type Seal } from './audit-chain.js';
import { AuditChainStore, type ChainEnd } from './audit-chain.store.js';
import { canonicalText, hasMac, sameBytes, type StoredAuditEvent } from './audit-event.js';
import { AuditKeys } from './audit-keys.js';

/** Events are part of their chain within a second. Small passes, because requests share the processor with each. */
const SEAL_MS = 100;
const CHECKPOINT_MS = 60_000;
/** Of a process that has found another one sealing: two that do the same work get in each other's way. Less than what is left of the second. */
const FOLLOWER_MS = 750;
/** Seals of one transaction, about. */
const BATCH = 1_000;
/** Of a process that stops, to leave its chains sealed and signed. */
const LAST_ATTEMPTS = 3;
/** Hashed in one go; requests come between. */
const BITE = 5;

/**
 * Chains events within a second of their writing. Of several processes one leads and the others look after it; if two seal the same events, the constraints of the tables let one
 * of them through, whole. A chain that is not as it was left is not continued: what was done to it must not be covered up. Verification names the place.
 */
@Injectable()
export class AuditSealer implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<unknown> = Promise.resolve();
  private isStopped = false;
  private isLeading = false;
  /** A pass did not come to its end, here or in a process before this one: a chain may lag although another is at the newest event. */
  private isBehind = true;
  private checkpointedAt = Date.now();
  /** Where this process saw each chain last: an older head is a forged one, whatever its MAC says. */
  private readonly seen = new Map<string, bigint>();
  private readonly reported = new Set<string>();

  constructor(
    private readonly store: AuditChainStore,
    private readonly keys: AuditKeys,
    @Inject(LOGGER) private readonly logger: Logger,
    private readonly metrics: Metrics,
  ) {}

  onApplicationBootstrap(): void {
    this.schedule();
  }

  /** What requests and jobs that end after this write is sealed by another process, or the next one. */
  async beforeApplicationShutdown(): Promise<void> {
    this.isStopped = true;
    clearTimeout(this.timer);
    await this.running;
    for (let attempt = 1; attempt <= LAST_ATTEMPTS; attempt++) {
      try {
        await this.seal();
        await this.checkpoint();
        return;
      } catch (err) {
        this.logger.debug({ err, attempt }, 'the audit trail could not be sealed at the end');
        if (isDatabaseAway(err)) return;
        // Another process was first, or a writer holds its lock; what the other one sealed is to be signed all the same.
        await wait(SEAL_MS);
      }
    }
  }

  /** Seals everything that was written until now. @returns how many events @throws when another process was first */
  async seal(): Promise<number> {
    const [settled, key] = [await this.store.settledSequence(), await this.keys.macKey()];
    for (let sealed = 0; ;) {
      const seals: Seal[] = [];
      const heads: Head[] = [];
      for (const end of await this.store.ends(settled)) {
        if (!this.isSound(end, key)) continue;
        const events = await this.store.eventsBetween(end.institutionId, end.head?.sequence ?? 0n, settled, BATCH);
        heads.push(await this.extend(end, events, seals, key));
        if (seals.length >= BATCH) break;
      }
      if (seals.length === 0) return sealed;
      await this.store.append(seals, heads);
      sealed += seals.length;
      // Every chain was read to its end.
      if (seals.length < BATCH) return sealed;
    }
  }

  /** Signs where every chain with news stands. @returns how many checkpoints */
  async checkpoint(): Promise<number> {
    const key = await this.keys.macKey();
    const checkpointed = await this.store.checkpointed();
    let made = 0;
    for (const end of await this.store.ends()) {
      const { head } = end;
      if (!head || head.position === checkpointed.get(head.institutionId) || !this.isSound(end, key)) continue;
      await this.addCheckpoint(head, key);
      made++;
    }
    return made;
  }

  private schedule(): void {
    if (this.isStopped) return;
    this.timer = setTimeout(() => {
      this.running = this.pass().finally(() => { this.schedule(); });
    }, this.isLeading ? SEAL_MS : FOLLOWER_MS);
    this.timer.unref();
  }

  private async pass(): Promise<void> {
    try {
      if (this.isBehind || (await this.store.hasNews())) {
        this.isLeading = (await this.seal()) > 0;
        this.isBehind = false;
      }
      if (!this.isLeading || Date.now() - this.checkpointedAt < CHECKPOINT_MS) return;
      this.checkpointedAt = Date.now();
      await this.checkpoint();
    } catch (err) {
      // Another process was first, the database is away, or a writer holds its lock: the next pass is near.
      this.isLeading = false;
      this.isBehind = true;
      this.logger.debug({ err }, 'the audit trail could not be sealed');
    }
  }

  /** Appends the seals of events to `seals`. @returns the new head */
  private async extend({ institutionId, head }: ChainEnd, events: readonly StoredAuditEvent[], seals: Seal[], key: KeyObject): Promise<Head> {
    let [previous, position, sequence] = [head?.hash ?? BEGINNING, head?.position ?? 0n, head?.sequence ?? 0n];
    for (const [index, event] of events.entries()) {
      if (index % BITE === BITE - 1) await setImmediate();
      const text = canonicalText(event);
      if (!hasMac(event, key, text)) this.reportForged(event);
      position += 1n;
      ({ sequence } = event);
      const seal: Seal = { institutionId, position, eventId: event.id, hash: previous, sealedAt: new Date() };
      previous = seal.hash = sealHash(previous, seal, event, text);
      seals.push(seal);
    }
    return withMac({ institutionId, position, hash: previous, sequence, checkpoints: head?.checkpoints ?? 0n, updatedAt: new Date() }, key);
  }

  private async addCheckpoint(head: Head, key: KeyObject): Promise<void> {
    const { institutionId, position, hash } = head;
    const stand = { id: uuidv7(), institutionId, number: head.checkpoints + 1n, position, hash, at: new Date() };
    const { kid, signature } = await this.keys.sign((one) => checkpointText({ ...stand, kid: one }));
    await this.store.addCheckpoint({ ...stand, kid, signature }, withMac({ ...head, checkpoints: stand.number, updatedAt: new Date() }, key));
    // Logs leave the machine: who keeps them can prove later where the chain stood.
    this.logger.info({ institutionId, number: String(stand.number), position: String(position), hash: hex(hash), kid, signature: hex(signature) }, 'audit checkpoint');
  }

  /** Whether the chain is as the application left it. */
  private isSound(end: ChainEnd, key: KeyObject): boolean {
    const { institutionId, head, last } = end;
    const fault = faultOf(end, this.seen.get(institutionId), key);
    if (fault === undefined) {
      if (head) this.seen.set(institutionId, head.position);
      this.reported.delete(institutionId);
      return true;
    }
    if (!this.reported.has(institutionId)) {
      this.reported.add(institutionId);
      this.metrics.auditFaults.inc({ fault });
      this.logger.error({ institutionId, fault, headPosition: String(head?.position ?? ''), lastPosition: String(last?.position ?? '') }, 'an audit chain was tampered with and is not continued: run `healthvision audit verify`');
    }
    return false;
  }

  /** Sealed all the same, as evidence; verification tells. */
  private reportForged({ id, institutionId, sequence }: StoredAuditEvent): void {
    this.metrics.auditFaults.inc({ fault: 'event-forged' });
    this.logger.error({ institutionId, eventId: id, sequence: String(sequence) }, 'an audit event was not written by the application');
  }
}

function withMac(head: Omit<Head, 'mac'>, key: KeyObject): Head {
  return { ...head, mac: headMac(head, key) };
}

function faultOf({ head, last }: ChainEnd, seen: bigint | undefined, key: KeyObject): 'head-missing' | 'head-changed' | 'seal-missing' | undefined {
  if (!head) return last || seen !== undefined ? 'head-missing' : undefined;
  if (!sameBytes(headMac(head, key), head.mac)) return 'head-changed';
  if (seen !== undefined && head.position < seen) return 'head-changed';
  if (last?.position !== head.position || !sameBytes(last.hash, head.hash)) return 'seal-missing';
  return undefined;
}
