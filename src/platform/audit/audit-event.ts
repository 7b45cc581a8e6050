import { createHmac, timingSafeEqual, type KeyObject } from 'node:crypto';
import { isDicomUidAsFound, isUuid, uuidv7 } from '../../kernel/uid.js';
import { canonicalJson } from '../http/canonical-json.js';

/** Chain of what belongs to no institution: calls that nobody was signed in for. RFC 9562 §5.9 */
export const INSTALLATION = '00000000-0000-0000-0000-000000000000';

export const ACTOR_KINDS = ['user', 'api-key', 'client', 'job', 'system', 'anonymous'] as const;
export const OUTCOMES = ['attempted', 'succeeded', 'refused', 'failed'] as const;
export type ActorKind = (typeof ACTOR_KINDS)[number];
export type Outcome = (typeof OUTCOMES)[number];
export type Details = Readonly<Record<string, string | number | boolean | null>>;

/** What happened: who did what, from where, about whom, why, and how it ended. Ids only, never PHI. */
export interface AuditEvent {
  /** UUIDv7 of the same millisecond as `at`. */
  id: string;
  institutionId: string;
  at: Date;
  /** `system` is a device that sends by DIMSE; its AE title is the source. */
  actorKind: ActorKind;
  actorId: string | null;
  userId: string | null;
  role: string | null;
  source: string | null;
  action: string;
  outcome: Outcome;
  status: number | null;
  code: string | null;
  patientIds: readonly string[];
  studyInstanceUids: readonly string[];
  object: string | null;
  purpose: string | null;
  reason: string | null;
  requestId: string | null;
  details: Details;
}

/** As it lies in the database. */
export interface StoredAuditEvent extends AuditEvent {
  sequence: bigint;
  mac: Uint8Array;
}

export type AuditDraft = Pick<AuditEvent, 'institutionId' | 'actorKind' | 'action' | 'outcome'> & Partial<Omit<AuditEvent, 'id' | 'at'>>;

/** Lists beyond this are cut; how long they were is among the details. */
export const MOST_NAMED = 500;
const MOST_CHARACTERS = 1_000;

/** An event of now that PostgreSQL will take, whatever its parts came from. */
export function eventOf(draft: AuditDraft, now: number = Date.now()): AuditEvent {
  const patientIds = distinct((draft.patientIds ?? []).map((id) => id.toLowerCase()), isUuid);
  const studyInstanceUids = distinct(draft.studyInstanceUids ?? [], isDicomUidAsFound);
  const details: Record<string, string | number | boolean | null> = {};
  for (const [name, value] of Object.entries(draft.details ?? {})) details[name] = typeof value === 'string' ? clean(value) : value;
  if (patientIds.length > MOST_NAMED) details.patients = patientIds.length;
  if (studyInstanceUids.length > MOST_NAMED) details.studies = studyInstanceUids.length;
  return {
    id: uuidv7(now), institutionId: draft.institutionId.toLowerCase(), at: new Date(now),
    actorKind: draft.actorKind, actorId: uuidOrNull(draft.actorId), userId: uuidOrNull(draft.userId), role: clean(draft.role), source: clean(draft.source),
    action: clean(draft.action), outcome: draft.outcome, status: draft.status ?? null, code: clean(draft.code),
    patientIds: patientIds.slice(0, MOST_NAMED), studyInstanceUids: studyInstanceUids.slice(0, MOST_NAMED),
    object: clean(draft.object), purpose: clean(draft.purpose), reason: clean(draft.reason), requestId: clean(draft.requestId), details,
  };
}

/** All that an event says, in one text: equal events give equal texts, others never. What MACs and hashes are made over. */
export function canonicalText(event: AuditEvent): string {
  return canonicalJson([
    'healthvision-audit-event-1', event.id, event.institutionId, timeText(event.at), event.actorKind, event.actorId, event.userId, event.role, event.source, event.action, event.outcome,
    event.status, event.code, event.patientIds, event.studyInstanceUids, event.object, event.purpose, event.reason, event.requestId, event.details,
  ]);
}

/** A time as the application writes it; of one that it cannot have written (`infinity` comes as a number) some other text, so that verification names the row instead of failing. */
export function timeText(time: Date | number): string {
  return shownTime(time) ?? String(time);
}

/** A time as answers show it: of one that the application cannot have written nothing, as it has no form that a reader of dates would take. */
export function shownTime(time: Date | number): string | null {
  return time instanceof Date && !Number.isNaN(time.getTime()) ? time.toISOString() : null;
}

/** HMAC-SHA256 over the canonical text: only the application can make one. */
export function macOf(event: AuditEvent, key: KeyObject, text = canonicalText(event)): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

/** @param text  the event's canonical text, where it is at hand */
export function hasMac(event: StoredAuditEvent, key: KeyObject, text?: string): boolean {
  return sameBytes(macOf(event, key, text), event.mac);
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

function distinct(values: readonly string[], isValid: (value: string) => boolean): string[] {
  return values.length === 0 ? [] : [...new Set(values)].filter(isValid);
}

function uuidOrNull(value: string | null | undefined): string | null {
  return isUuid(value) ? value.toLowerCase() : null;
}

function clean(text: string): string;
function clean(text: string | null | undefined): string | null;
/** PostgreSQL takes neither NUL nor half a surrogate pair. */
function clean(text: string | null | undefined): string | null {
  if (text === null || text === undefined) return null;
  return Buffer.from(text.slice(0, MOST_CHARACTERS).replaceAll('\0', '�'), 'utf8').toString('utf8');
}
