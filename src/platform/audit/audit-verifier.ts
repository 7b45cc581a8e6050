import { Injectable } from '@nestjs/common';
import type { KeyObject } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import type { Scope } from '../database/database.js';
import { BEGINNING, checkpointText, headMac, hex, sealHash } from './audit-chain.js';
import { AuditChainStore, type ChainEnd, type Link } from './audit-chain.store.js';
import { canonicalText, hasMac, sameBytes, type StoredAuditEvent } from './audit-event.js';
import { AuditEventsStore } from './audit-events.store.js';
import { AuditKeys } from './audit-keys.js';

const PAGE = 500;
/** The sealer needs a second at most; a database under load a little more. */
const UNSEALED_MS = 10_000;
const SECOND_LOOK_MS = 2_500;

export const FAULTS = [
  'event-changed', 'event-missing', 'event-forged', 'event-unsealed', 'seal-missing', 'seal-changed', 'seal-forged',
  'head-missing', 'head-changed', 'checkpoint-missing', 'checkpoint-changed', 'checkpoint-mismatch', 'checkpoint-forged',
] as const;

/** The first link that does not hold. */
export interface BrokenLink {
  fault: (typeof FAULTS)[number];
  institutionId: string;
  /** null for an event that no seal names. */
  position: bigint | null;
  eventId: string | null;
  sequence: bigint | null;
  explanation: string;
}

export interface Verification {
  institutionId: string;
  /** Links that were looked at and hold. */
  events: number;
  checkpoints: number;
  /** Of the last link that holds; 0 for an empty chain. */
  position: bigint;
  hash: string;
  broken: BrokenLink | null;
}

export interface VerificationRange {
  from?: bigint | undefined;
  to?: bigint | undefined;
}

type Found = Omit<BrokenLink, 'institutionId'>;

/** Walks a chain, page by page, and names the first link that was bent. */
@Injectable()
export class AuditVerifier {
  constructor(
    private readonly chains: AuditChainStore,
    private readonly events: AuditEventsStore,
    private readonly keys: AuditKeys,
  ) {}

  /** Chains that exist, or should. */
  institutions(): Promise<string[]> {
    return this.chains.institutions();
  }

  /** With `to`, that part of the chain alone; without, all that belongs to it: head, checkpoints, events that wait for their seal. */
  async verify(scope: Scope, institutionId: string, { from = 1n, to }: VerificationRange = {}, report: (events: number) => void = () => undefined): Promise<Verification> {
    const walk = new ChainWalk(this.chains, this.events, await this.keys.macKey(), scope, institutionId);
    let checkpoints = 0;
    let found = await walk.run(from, to, report);
    if (!found && to === undefined) {
      const end = await this.walkToEnd(walk, report);
      found = end.found ?? headFault(end.chain, walk);
      if (!found) {
        const outcome = await this.checkCheckpoints(scope, institutionId);
        checkpoints = outcome.checkpoints;
        found = outcome.found ?? await this.checkUnsealed(scope, institutionId, walk.key, end.chain.head?.sequence ?? 0n);
      }
    }
    return { institutionId, events: walk.count, checkpoints, position: walk.position, hash: hex(walk.hash), broken: found ? { ...found, institutionId } : null };
  }

  /** The sealer works on meanwhile: until the head is where the walk is. */
  private async walkToEnd(walk: ChainWalk, report: (events: number) => void): Promise<{ chain: ChainEnd; found: Found | undefined }> {
    for (;;) {
      const chain = await this.chains.end(walk.scope, walk.institutionId);
      if (!chain.last || chain.last.position <= walk.position) return { chain, found: undefined };
      const found = await walk.run(walk.position + 1n, undefined, report);
      if (found) return { chain, found };
    }
  }

  private async checkCheckpoints(scope: Scope, institutionId: string): Promise<{ checkpoints: number; found: Found | undefined }> {
    let expected = 1n;
    for (let after: bigint | null = null; ;) {
      const page = await this.chains.checkpoints(scope, institutionId, after, PAGE);
      for (const checkpoint of page) {
        const place = { position: checkpoint.position, eventId: null, sequence: null };
        const at = (fault: Found['fault'], explanation: string): { checkpoints: number; found: Found } => ({ checkpoints: Number(expected - 1n), found: { ...place, fault, explanation } });
        if (checkpoint.number > expected) return at('checkpoint-missing', `Checkpoint ${String(expected)} is missing before checkpoint ${String(checkpoint.number)} (${checkpoint.id}).`);
        if (checkpoint.number < expected || !(await this.keys.isSigned(checkpoint.kid, checkpointText(checkpoint), checkpoint.signature))) {
          return at('checkpoint-changed', `The signature of checkpoint ${String(checkpoint.number)} (${checkpoint.id}) is wrong.`);
        }
        if (!checkpoint.sealed || !sameBytes(checkpoint.sealed, checkpoint.hash)) return at('checkpoint-mismatch', `Checkpoint ${String(checkpoint.number)} (${checkpoint.id}) was signed over another chain.`);
        expected += 1n;
        after = checkpoint.number;
      }
      if (page.length < PAGE) break;
    }
    const { head } = await this.chains.end(scope, institutionId);
    const there = expected - 1n;
    const counted = head?.checkpoints ?? 0n;
    // One more may have been signed since the last page.
    if (there < counted && (await this.chains.checkpoints(scope, institutionId, there, 1)).length === 0) {
      return { checkpoints: Number(there), found: { fault: 'checkpoint-missing', position: head?.position ?? null, eventId: null, sequence: null, explanation: `The chain had ${String(counted)} checkpoints; ${String(there)} are there.` } };
    }
    if (there > counted) return { checkpoints: Number(counted), found: { fault: 'checkpoint-forged', position: head?.position ?? null, eventId: null, sequence: null, explanation: `The chain had ${String(counted)} checkpoints; ${String(there)} are there.` } };
    return { checkpoints: Number(there), found: undefined };
  }

  private async checkUnsealed(scope: Scope, institutionId: string, key: KeyObject, sealedUpTo: bigint): Promise<Found | undefined> {
    const late = (await this.firstUnsealed(scope, institutionId, key, sealedUpTo));
    if (late?.fault !== 'event-unsealed') return late;
    // It may have waited outside the database until a moment ago (AUDIT_FAILURE=queue).
    if (late.sequence !== null && late.sequence > sealedUpTo) await wait(SECOND_LOOK_MS);
    const still = await this.firstUnsealed(scope, institutionId, key, sealedUpTo);
    return still?.eventId === late.eventId ? still : undefined;
  }

  private async firstUnsealed(scope: Scope, institutionId: string, key: KeyObject, sealedUpTo: bigint): Promise<Found | undefined> {
    for (let after = -(2n ** 63n); ;) {
      const page = await this.events.unsealed(scope, institutionId, { after, limit: PAGE });
      for (const event of page) {
        const place = { position: null, eventId: event.id, sequence: event.sequence };
        if (!hasMac(event, key)) return { ...place, fault: 'event-forged', explanation: 'The event was not written by the application, or was changed before it was sealed.' };
        if (event.sequence <= sealedUpTo) return { ...place, fault: 'event-unsealed', explanation: 'The event is no part of the chain, although later ones are.' };
        // Its MAC fits: the time is one that the application wrote.
        if (Date.now() - event.at.getTime() > UNSEALED_MS) return { ...place, fault: 'event-unsealed', explanation: 'The event has been waiting for its seal for too long.' };
        after = event.sequence;
      }
      if (page.length < PAGE) return undefined;
    }
  }
}

/** One walk, and how far it has come. */
class ChainWalk {
  count = 0;
  position = 0n;
  hash: Uint8Array = BEGINNING;
  private sequence = 0n;

  constructor(
    private readonly chains: AuditChainStore,
    private readonly events: AuditEventsStore,
    readonly key: KeyObject,
    readonly scope: Scope,
    readonly institutionId: string,
  ) {}

  async run(from: bigint, to: bigint | undefined, report: (events: number) => void): Promise<Found | undefined> {
    if (from > 1n && from !== this.position + 1n) {
      const before = await this.chains.sealAt(this.scope, this.institutionId, from - 1n);
      if (!before) return { fault: 'seal-missing', position: from - 1n, eventId: null, sequence: null, explanation: 'There is no such seal to begin behind.' };
      this.position = from - 1n;
      this.hash = before.hash;
    }
    for (let after = from === 1n ? null : from - 1n; ;) {
      const page = await this.chains.links(this.scope, this.institutionId, after, PAGE);
      for (const link of page) {
        if (to !== undefined && this.position >= to) return undefined;
        const found = await this.step(link);
        if (found) return found;
        after = link.seal.position;
      }
      report(this.count);
      if (page.length < PAGE) return undefined;
    }
  }

  private async step({ seal, event }: Link): Promise<Found | undefined> {
    const expected = this.position + 1n;
    const place = { position: seal.position, eventId: seal.eventId, sequence: event?.sequence ?? null };
    if (seal.position < expected) return { ...place, fault: 'seal-forged', explanation: 'A seal stands where none can be.' };
    if (seal.position > expected) return this.gap(expected, event);
    if (!event) return { ...place, fault: 'event-missing', explanation: 'The event of this seal is missing.' };
    const text = canonicalText(event);
    const hash = sealHash(this.hash, seal, event, text);
    const fits = sameBytes(hash, seal.hash);
    if (event.institutionId !== this.institutionId || !hasMac(event, this.key, text)) {
      return fits
        ? { ...place, fault: 'event-forged', explanation: 'The event was not written by the application.' }
        : { ...place, fault: 'event-changed', explanation: 'The event was changed after it was written.' };
    }
    if (!fits) return { ...place, fault: 'seal-changed', explanation: 'The seal does not fit the event and the seal before it: one of them was changed or moved.' };
    this.position = seal.position;
    this.hash = seal.hash;
    this.sequence = event.sequence;
    this.count++;
    return undefined;
  }

  /** The event without its seal may still be there, and then has a name. */
  private async gap(position: bigint, next: StoredAuditEvent | null): Promise<Found> {
    const [orphan] = await this.events.unsealed(this.scope, this.institutionId, { after: this.sequence, upTo: next?.sequence, limit: 1 });
    return { fault: 'seal-missing', position, eventId: orphan?.id ?? null, sequence: orphan?.sequence ?? null, explanation: orphan ? 'The seal of this event is missing.' : 'A seal is missing, and its event.' };
  }
}

/** Whether the chain ends where the application says it does. */
function headFault({ head, last }: ChainEnd, { key, position, hash }: ChainWalk): Found | undefined {
  const at = (fault: Found['fault'], where: bigint, explanation: string): Found => ({ fault, position: where, eventId: null, sequence: null, explanation });
  if (!head) return last ? at('head-missing', position, 'The chain has no head.') : undefined;
  if (!sameBytes(headMac(head, key), head.mac)) return at('head-changed', head.position, 'The head of the chain was changed.');
  if (head.position > position) return at('seal-missing', position + 1n, `The chain was cut: it ended at position ${String(head.position)}.`);
  if (head.position < position) return at('seal-forged', head.position + 1n, 'The chain goes on beyond its head.');
  return sameBytes(head.hash, hash) ? undefined : at('head-changed', head.position, 'The head of the chain names another seal.');
}
