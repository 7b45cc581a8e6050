import { Injectable } from '@nestjs/common';
import { Prisma } from '../../generated/prisma/client.js';
import { Database, type Scope } from '../database/database.js';
import type { AuditEvent, StoredAuditEvent } from './audit-event.js';
import { hex } from './audit-chain.js';

/** Writers hold this lock together while they insert; the sealer alone, for an instant, to know that no sequence below the highest is still to come. */
export const WRITERS_LOCK = 5_183_429_067_143_388n;
/** What waits for its transaction longer than this has lost its process. */
const PATIENCE = '5s';

export const EVENT_COLUMNS = Prisma.raw(`e.id, e.sequence, e.institution_id AS "institutionId", e.at, e.actor_kind AS "actorKind", e.actor_id AS "actorId", e.user_id AS "userId", e.role, e.source,
  e.action, e.outcome, e.status, e.code, e.patient_ids AS "patientIds", e.study_instance_uids AS "studyInstanceUids", e.object, e.purpose, e.reason, e.request_id AS "requestId", e.details, e.mac`);

/** Writes events, all of one call together. */
@Injectable()
export class AuditEventsStore {
  constructor(private readonly database: Database) {}

  /** In one transaction and one round trip; those that are there already are left. Durable afterwards. */
  async insert(events: readonly AuditEvent[], macs: readonly Uint8Array[]): Promise<void> {
    // Every event has members, so the MAC can follow its last; copies of the events would be half of the garbage that a small request makes.
    const json = `[${events.map((event, index) => `${JSON.stringify(event).slice(0, -1)},"mac":"${hex(macs[index] ?? new Uint8Array())}"}`).join(',')}]`;
    await this.database.writeAll('system', [
      Prisma.sql`SELECT set_config('idle_in_transaction_session_timeout', ${PATIENCE}, true), pg_advisory_xact_lock_shared(${WRITERS_LOCK}::bigint)`,
      Prisma.sql`
        INSERT INTO audit_events (id, institution_id, at, actor_kind, actor_id, user_id, role, source, action, outcome, status, code, patient_ids, study_instance_uids, object, purpose, reason, request_id, details, mac)
        SELECT id, "institutionId", at, "actorKind", "actorId", "userId", role, source, action, outcome, status, code, "patientIds", "studyInstanceUids", object, purpose, reason, "requestId", details, decode(mac, 'hex')
        FROM json_to_recordset(${json}::json) AS event(id uuid, "institutionId" uuid, at timestamptz, "actorKind" text, "actorId" uuid, "userId" uuid, role text, source text, action text, outcome text,
          status int, code text, "patientIds" uuid[], "studyInstanceUids" text[], object text, purpose text, reason text, "requestId" text, details jsonb, mac text)
        ON CONFLICT (id) DO NOTHING`,
    ]);
  }

  /** Whose studies these are, by institution and UID; those of nobody are missing. */
  async patientsOf(studies: readonly { institutionId: string; studyInstanceUid: string }[]): Promise<Map<string, string>> {
    const rows = await this.database.read<{ institutionId: string; studyInstanceUid: string; patientId: string }>('system', Prisma.sql`
      SELECT s.institution_id AS "institutionId", s.study_instance_uid AS "studyInstanceUid", s.patient_id AS "patientId"
      FROM unnest(${studies.map(({ institutionId }) => institutionId)}::uuid[], ${studies.map(({ studyInstanceUid }) => studyInstanceUid)}::text[]) AS wanted(institution_id, study_instance_uid)
      JOIN studies s ON s.institution_id = wanted.institution_id AND s.study_instance_uid = wanted.study_instance_uid
      WHERE s.patient_id IS NOT NULL`);
    return new Map(rows.map((row) => [`${row.institutionId} ${row.studyInstanceUid}`, row.patientId]));
  }

  /** Events of a chain that no seal names, by sequence. */
  async unsealed(scope: Scope, institutionId: string, { after, upTo, limit }: { after: bigint; upTo?: bigint | undefined; limit: number }): Promise<StoredAuditEvent[]> {
    return this.database.read<StoredAuditEvent>(scope, Prisma.sql`
      SELECT ${EVENT_COLUMNS} FROM audit_events e
      WHERE e.institution_id = ${institutionId}::uuid AND e.sequence > ${after}::bigint AND (${upTo ?? null}::bigint IS NULL OR e.sequence <= ${upTo ?? null}::bigint)
        AND NOT EXISTS (SELECT FROM audit_seals s WHERE s.event_id = e.id)
      ORDER BY e.sequence LIMIT ${limit}`);
  }
}
