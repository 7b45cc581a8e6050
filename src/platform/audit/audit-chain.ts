import { createHash, createHmac, type KeyObject } from 'node:crypto';
import { canonicalJson } from '../http/canonical-json.js';
import { canonicalText, timeText, type StoredAuditEvent } from './audit-event.js';

/** What the first seal of a chain follows. */
export const BEGINNING = new Uint8Array(32);

export interface Seal {
  institutionId: string;
  /** 1, 2, … */
  position: bigint;
  eventId: string;
  hash: Uint8Array;
  sealedAt: Date;
}

export interface Head {
  institutionId: string;
  position: bigint;
  hash: Uint8Array;
  /** Of the last event that is sealed. */
  sequence: bigint;
  checkpoints: bigint;
  updatedAt: Date;
  mac: Uint8Array;
}

export interface Checkpoint {
  id: string;
  institutionId: string;
  number: bigint;
  position: bigint;
  hash: Uint8Array;
  at: Date;
  kid: string;
  signature: Uint8Array;
}

/**
 * SHA-256 over one line of JSON (members in this order, no white space): the seal before, the place in the chain, and everything that the event says. Whoever has
 * an export can do the same.
 *
 * @param eventText  the event's canonical text, where it is at hand
 */
export function sealHash(previous: Uint8Array, seal: Pick<Seal, 'institutionId' | 'position' | 'sealedAt'>, event: StoredAuditEvent, eventText = canonicalText(event)): Buffer {
  const text = JSON.stringify(['healthvision-audit-seal-1', hex(previous), seal.institutionId, String(seal.position), timeText(seal.sealedAt), String(event.sequence), hex(event.mac), eventText]);
  return createHash('sha256').update(text).digest();
}

/** Nobody without the key moves a head, or cuts its chain. */
export function headMac(head: Omit<Head, 'mac'>, key: KeyObject): Buffer {
  const text = canonicalJson(['healthvision-audit-head-1', head.institutionId, String(head.position), hex(head.hash), String(head.sequence), String(head.checkpoints), timeText(head.updatedAt)]);
  return createHmac('sha256', key).update(text).digest();
}

/** What is signed. */
export function checkpointText(checkpoint: Omit<Checkpoint, 'signature'>): string {
  return canonicalJson(['healthvision-audit-checkpoint-1', checkpoint.id, checkpoint.institutionId, String(checkpoint.number), String(checkpoint.position), hex(checkpoint.hash), timeText(checkpoint.at), checkpoint.kid]);
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}
