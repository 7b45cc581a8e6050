import { z } from 'zod';
import { isDicomUidAsFound } from '../../../kernel/uid.js';
import { hex, type Checkpoint } from '../../../platform/audit/audit-chain.js';
import { ACTOR_KINDS, OUTCOMES, shownTime, type StoredAuditEvent } from '../../../platform/audit/audit-event.js';
import { FAULTS, type Verification } from '../../../platform/audit/audit-verifier.js';
import { pageQuery, pageSchema } from '../../../platform/http/page.js';
import type { LoggedEvent } from './audit-log.store.js';

/** A superuser can write `infinity`: what such a row says is still shown. */
export const shownTimeSchema = z.iso.datetime().nullable().meta({ description: 'null when the database holds a time that no event can have: the row was changed, see the verification' });

export const auditEventSchema = z
  .object({
    id: z.uuid(),
    at: shownTimeSchema,
    actorKind: z.enum(ACTOR_KINDS),
    actorId: z.uuid().nullable().meta({ description: 'Of the user, the API key or the OAuth client' }),
    userId: z.uuid().nullable().meta({ description: 'The person, or the owner of the key' }),
    role: z.string().nullable(),
    source: z.string().nullable().meta({ description: 'Network address; the worker’s name for jobs, the AE title for DIMSE' }),
    action: z.string().meta({ description: 'The operation’s id in this document, or the job’s name' }),
    outcome: z.enum(OUTCOMES),
    status: z.number().int().nullable(),
    code: z.string().nullable(),
    patientIds: z.array(z.uuid()),
    studyInstanceUids: z.array(z.string()),
    object: z.string().nullable(),
    purpose: z.string().nullable(),
    reason: z.string().nullable(),
    requestId: z.string().nullable(),
    details: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
    position: z.number().int().nullable().meta({ description: 'In the chain of the institution; null for less than a second' }),
    hash: z.string().nullable(),
  })
  .meta({ id: 'AuditEvent' });

export type AuditEventJson = z.infer<typeof auditEventSchema>;

export const auditEventPage = pageSchema(auditEventSchema, 'AuditEventPage');

const time = z.iso.datetime({ offset: true });
const studyUid = z.string().refine(isDicomUidAsFound, 'must be a UID');

export const auditQuery = pageQuery.extend({
  actorId: z.uuid().optional().meta({ description: 'User, key or client' }),
  userId: z.uuid().optional().meta({ description: 'The person, with all their keys' }),
  patientId: z.uuid().optional(),
  studyInstanceUid: studyUid.optional(),
  action: z.string().min(1).max(100).optional().meta({ example: 'getStudy' }),
  outcome: z.enum(OUTCOMES).optional(),
  requestId: z.string().min(1).max(64).optional(),
  from: time.optional().meta({ description: 'Not before', example: '2026-11-21T00:00:00Z' }),
  to: time.optional().meta({ description: 'Before', example: '2026-11-22T00:00:00Z' }),
}).strict();

export const exportQuery = z.strictObject({
  format: z.enum(['ndjson', 'fhir']).default('ndjson'),
  from: time.optional().meta({ description: 'Sealed not before; events are sealed within a second', example: '2026-11-21T00:00:00Z' }),
  to: time.optional().meta({ description: 'Sealed before', example: '2026-11-22T00:00:00Z' }),
});

const position = z.coerce.number().int().min(1).max(Number.MAX_SAFE_INTEGER);

export const verificationQuery = z.strictObject({
  chain: z.enum(['institution', 'installation']).default('institution').meta({ description: '`installation`: what belongs to no institution; for platform administrators' }),
  from: position.optional().meta({ description: 'First position' }),
  to: position.optional().meta({ description: 'Last position; without it, the head, the checkpoints and what waits for its seal are checked too' }),
});

export const verificationSchema = z
  .object({
    institutionId: z.uuid().meta({ description: 'All zeros for the chain of the installation' }),
    intact: z.boolean(),
    events: z.number().int().meta({ description: 'Events that were checked and hold' }),
    checkpoints: z.number().int(),
    position: z.number().int().meta({ description: 'Of the last event that holds' }),
    hash: z.string().meta({ description: 'At that position, hex' }),
    broken: z.object({
      fault: z.enum(FAULTS),
      position: z.number().int().nullable(),
      eventId: z.uuid().nullable(),
      sequence: z.number().int().nullable(),
      explanation: z.string(),
    }).nullable().meta({ description: 'The first link that does not hold' }),
    verifiedAt: z.iso.datetime(),
  })
  .meta({ id: 'AuditVerification' });

export type VerificationJson = z.infer<typeof verificationSchema>;

export const checkpointSchema = z
  .object({
    id: z.uuid(), number: z.number().int(), position: z.number().int(), hash: z.string(), at: shownTimeSchema, kid: z.string(),
    text: z.string().meta({ description: 'What is signed' }), signature: z.string().meta({ description: 'Ed25519 over the text, base64url' }),
  })
  .meta({ id: 'AuditCheckpoint' });

export const auditKeysSchema = z
  .object({ keys: z.array(z.object({ kty: z.literal('OKP'), crv: z.literal('Ed25519'), x: z.string(), kid: z.string(), use: z.literal('sig'), alg: z.literal('EdDSA') })) })
  .meta({ id: 'AuditKeys' });

export function auditEventJson({ position: place, hash, ...event }: LoggedEvent): AuditEventJson {
  return { ...factsOf(event), position: place === null ? null : Number(place), hash: hash && hex(hash) };
}

/** What the event says, without what protects it. */
export function factsOf(event: StoredAuditEvent): Omit<AuditEventJson, 'position' | 'hash'> {
  const { id, at, actorKind, actorId, userId, role, source, action, outcome, status, code, patientIds, studyInstanceUids, object, purpose, reason, requestId, details } = event;
  return { id, at: shownTime(at), actorKind, actorId, userId, role, source, action, outcome, status, code, patientIds: [...patientIds], studyInstanceUids: [...studyInstanceUids], object, purpose, reason, requestId, details };
}

export function verificationJson({ institutionId, events, checkpoints, position: place, hash, broken }: Verification): VerificationJson {
  return {
    institutionId, intact: broken === null, events, checkpoints, position: Number(place), hash, verifiedAt: new Date().toISOString(),
    broken: broken && {
      fault: broken.fault, eventId: broken.eventId, explanation: broken.explanation,
      position: broken.position === null ? null : Number(broken.position), sequence: broken.sequence === null ? null : Number(broken.sequence),
    },
  };
}

export function checkpointJson({ id, number, position: place, hash, at, kid, signature }: Checkpoint, text: string): z.infer<typeof checkpointSchema> {
  return { id, number: Number(number), position: Number(place), hash: hex(hash), at: shownTime(at), kid, text, signature: Buffer.from(signature).toString('base64url') };
}

export const auditEventExample: AuditEventJson = {
  id: '0198c0de-0000-7000-8000-00000000000a', at: '2026-11-21T10:00:00.000Z', actorKind: 'user', actorId: '0198c0de-0000-7000-8000-000000000001', userId: '0198c0de-0000-7000-8000-000000000001', role: 'radiologist',
  source: '10.1.2.3', action: 'getStudy', outcome: 'succeeded', status: 200, code: null, patientIds: ['0198c0de-0000-7000-8000-0000000000aa'], studyInstanceUids: ['1.2.826.0.1.3680043.8.498.1'], object: null,
  purpose: null, reason: null, requestId: '0198c0de-0000-7000-8000-0000000000ff', details: { route: 'GET /api/v1/studies/:studyInstanceUid' }, position: 4711, hash: '5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef',
};

export const verificationExample: VerificationJson = {
  institutionId: '0198c0de-0000-7000-8000-000000000000', intact: true, events: 4711, checkpoints: 12, position: 4711, hash: '5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef', broken: null, verifiedAt: '2026-11-21T10:00:00.000Z',
};
