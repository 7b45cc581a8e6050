import { Injectable } from '@nestjs/common';
import { Prisma } from '../../../generated/prisma/client.js';
import type { Checkpoint } from '../../../platform/audit/audit-chain.js';
import type { StoredAuditEvent } from '../../../platform/audit/audit-event.js';
import { EVENT_COLUMNS } from '../../../platform/audit/audit-events.store.js';
import { Database } from '../../../platform/database/database.js';
import type { PageQuery } from '../../../platform/http/page.js';

export interface AuditFilter {
  actorId?: string | undefined;
  userId?: string | undefined;
  patientId?: string | undefined;
  studyInstanceUid?: string | undefined;
  action?: string | undefined;
  outcome?: string | undefined;
  requestId?: string | undefined;
  from?: Date | undefined;
  to?: Date | undefined;
}

/** An event with its place in the chain, which it has a second later at most. */
export type LoggedEvent = StoredAuditEvent & { position: bigint | null; hash: Uint8Array | null };

/** What one person, key, client, device or job did with a patient's data. */
export interface AccessSummary {
  actorKind: StoredAuditEvent['actorKind'];
  userId: string | null;
  actorId: string | null;
  name: string | null;
  role: string | null;
  source: string | null;
  accesses: number;
  refused: number;
  first: Date;
  last: Date;
  actions: string[];
  purposes: string[];
  reasons: string[];
  emergency: boolean;
}

export type AccessItem = StoredAuditEvent & { name: string | null };

const MOST_ACTORS = 1_000;
const MOST_REASONS = 50;

/** Reads the audit trail of an institution. */
@Injectable()
export class AuditLogStore {
  constructor(private readonly database: Database) {}

  /** Newest first. @returns one more than asked for, where there is one */
  async list(institutionId: string, filter: AuditFilter, { limit, cursor }: PageQuery): Promise<LoggedEvent[]> {
    return this.database.read<LoggedEvent>({ institutionId }, Prisma.sql`
      SELECT ${EVENT_COLUMNS}, s.position, s.hash FROM audit_events e LEFT JOIN audit_seals s ON s.event_id = e.id
      WHERE ${Prisma.join(conditions(institutionId, filter, cursor), ' AND ')} ORDER BY e.id DESC LIMIT ${limit + 1}`);
  }

  async find(institutionId: string, id: string): Promise<LoggedEvent | undefined> {
    const [row] = await this.database.read<LoggedEvent>({ institutionId }, Prisma.sql`
      SELECT ${EVENT_COLUMNS}, s.position, s.hash FROM audit_events e LEFT JOIN audit_seals s ON s.event_id = e.id WHERE e.institution_id = ${institutionId}::uuid AND e.id = ${id}::uuid`);
    return row;
  }

  /** Newest first. */
  async checkpoints(institutionId: string, { limit, cursor }: PageQuery): Promise<Checkpoint[]> {
    return this.database.read<Checkpoint>({ institutionId }, Prisma.sql`
      SELECT id, institution_id AS "institutionId", number, position, hash, at, kid, signature FROM audit_checkpoints
      WHERE institution_id = ${institutionId}::uuid AND (${cursor ?? null}::uuid IS NULL OR id < ${cursor ?? null}::uuid) ORDER BY id DESC LIMIT ${limit + 1}`);
  }

  /** The first position that was sealed at `time` or later; one beyond the end when none was. Positions are in the order of time. */
  async firstPositionAt(institutionId: string, time: Date): Promise<bigint> {
    const [end] = await this.database.read<{ position: bigint | null }>({ institutionId }, Prisma.sql`SELECT max(position) AS position FROM audit_seals WHERE institution_id = ${institutionId}::uuid`);
    let low = 1n;
    let high = (end?.position ?? 0n) + 1n;
    while (low < high) {
      const middle = (low + high) / 2n;
      const [seal] = await this.database.read<{ sealedAt: Date }>({ institutionId }, Prisma.sql`
        SELECT sealed_at AS "sealedAt" FROM audit_seals WHERE institution_id = ${institutionId}::uuid AND position >= ${middle}::bigint AND isfinite(sealed_at) ORDER BY position LIMIT 1`);
      if (!seal || seal.sealedAt >= time) high = middle;
      else low = middle + 1n;
    }
    return low;
  }

  async isPatient(institutionId: string, patientId: string): Promise<boolean> {
    const rows = await this.database.read({ institutionId }, Prisma.sql`SELECT 1 FROM patients WHERE institution_id = ${institutionId}::uuid AND id = ${patientId}::uuid`);
    return rows.length > 0;
  }

  /** Newest first, with the names of people who are known here. */
  async accesses(institutionId: string, patientId: string, { limit, cursor }: PageQuery): Promise<AccessItem[]> {
    return this.database.read<AccessItem>({ institutionId }, Prisma.sql`
      SELECT ${EVENT_COLUMNS}, u.display_name AS name FROM audit_events e LEFT JOIN users u ON u.id = e.user_id
      WHERE ${Prisma.join(conditions(institutionId, { patientId }, cursor), ' AND ')} ORDER BY e.id DESC LIMIT ${limit + 1}`);
  }

  /** Who was at a patient's data, most recent first. What was only attempted is counted by its outcome. */
  async summary(institutionId: string, patientId: string): Promise<AccessSummary[]> {
    return this.database.read<AccessSummary>({ institutionId }, Prisma.sql`
      SELECT e.actor_kind AS "actorKind", e.user_id AS "userId", e.actor_id AS "actorId", max(u.display_name) AS name, max(e.role) AS role,
        CASE WHEN e.actor_id IS NULL THEN e.source END AS source,
        (count(*) FILTER (WHERE e.outcome NOT IN ('attempted', 'refused')))::int AS accesses, (count(*) FILTER (WHERE e.outcome = 'refused'))::int AS refused,
        min(e.at) AS first, max(e.at) AS last, array_agg(DISTINCT e.action) AS actions,
        coalesce(array_agg(DISTINCT e.purpose) FILTER (WHERE e.purpose IS NOT NULL), '{}') AS purposes,
        (coalesce(array_agg(DISTINCT e.reason) FILTER (WHERE e.reason IS NOT NULL), '{}'))[1:${Prisma.raw(String(MOST_REASONS))}] AS reasons,
        bool_or(e.purpose IS NOT DISTINCT FROM 'emergency') AS emergency
      FROM audit_events e LEFT JOIN users u ON u.id = e.user_id
      WHERE ${Prisma.join(conditions(institutionId, { patientId }, undefined), ' AND ')}
      GROUP BY 1, 2, 3, 6 ORDER BY max(e.at) DESC LIMIT ${MOST_ACTORS}`);
  }
}

function conditions(institutionId: string, filter: AuditFilter, cursor: string | undefined): Prisma.Sql[] {
  const { actorId, userId, patientId, studyInstanceUid, action, outcome, requestId, from, to } = filter;
  return [
    Prisma.sql`e.institution_id = ${institutionId}::uuid`,
    ...(cursor === undefined ? [] : [Prisma.sql`e.id < ${cursor}::uuid`]),
    ...(actorId === undefined ? [] : [Prisma.sql`e.actor_id = ${actorId}::uuid`]),
    ...(userId === undefined ? [] : [Prisma.sql`e.user_id = ${userId}::uuid`]),
    // The indexes hold only rows whose list is not empty.
    ...(patientId === undefined ? [] : [Prisma.sql`e.patient_ids <> '{}' AND e.patient_ids @> ARRAY[${patientId}]::uuid[]`]),
    ...(studyInstanceUid === undefined ? [] : [Prisma.sql`e.study_instance_uids <> '{}' AND e.study_instance_uids @> ARRAY[${studyInstanceUid}]::text[]`]),
    ...(action === undefined ? [] : [Prisma.sql`e.action = ${action}`]),
    ...(outcome === undefined ? [] : [Prisma.sql`e.outcome = ${outcome}`]),
    ...(requestId === undefined ? [] : [Prisma.sql`e.request_id = ${requestId}`]),
    // Ids begin with their time, and have the index.
    ...(from === undefined ? [] : [Prisma.sql`e.at >= ${from.toISOString()}::timestamptz AND e.id >= ${firstIdAt(from.getTime())}::uuid`]),
    ...(to === undefined ? [] : [Prisma.sql`e.at < ${to.toISOString()}::timestamptz AND e.id < ${firstIdAt(to.getTime())}::uuid`]),
  ];
}

/** Lower than every UUIDv7 of that millisecond or later. */
function firstIdAt(milliseconds: number): string {
  const hex = Math.max(0, Math.min(milliseconds, 2 ** 48 - 1)).toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
}
