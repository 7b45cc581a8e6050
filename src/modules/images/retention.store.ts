import { Injectable } from '@nestjs/common';
import { Prisma } from '../../generated/prisma/client.js';
import type { Transaction } from '../../kernel/transaction.js';
import { Database, prismaOf } from '../../platform/database/database.js';

/** A study whose time is over. */
export interface ExpiredStudy {
  id: string;
  institutionId: string;
  patientId: string | null;
  studyInstanceUid: string;
  keyId: string;
  retentionDays: number;
}

export interface RetentionPreview {
  studies: number;
  sizeBytes: number;
  onHold: number;
  oldest: Date | null;
}

/** Studies as the retention of their institutions sees them. */
@Injectable()
export class RetentionStore {
  constructor(private readonly database: Database) {}

  /** Up to `limit` studies that are older than their institution keeps them and not on hold, locked; studies that others hold are passed over. */
  async claimExpired(tx: Transaction, limit: number): Promise<ExpiredStudy[]> {
    return prismaOf(tx).$queryRaw<ExpiredStudy[]>`
      SELECT s.id, s.institution_id AS "institutionId", s.patient_id AS "patientId", s.study_instance_uid AS "studyInstanceUid", s.key_id AS "keyId", p.retention_days AS "retentionDays"
      FROM image_policies p JOIN studies s ON s.institution_id = p.institution_id
      WHERE s.last_instance_at < now() - make_interval(days => p.retention_days) AND NOT s.legal_hold
      ORDER BY s.last_instance_at LIMIT ${limit}::int FOR UPDATE OF s SKIP LOCKED`;
  }

  async preview(institutionId: string, retentionDays: number): Promise<RetentionPreview> {
    const rows = await this.database.read<{ studies: number; sizeBytes: string; onHold: number; oldest: Date | null }>({ institutionId }, Prisma.sql`
      SELECT count(*) FILTER (WHERE NOT legal_hold)::int AS studies, coalesce(sum(size_bytes) FILTER (WHERE NOT legal_hold), 0)::text AS "sizeBytes",
        count(*) FILTER (WHERE legal_hold)::int AS "onHold", min(last_instance_at) FILTER (WHERE NOT legal_hold) AS oldest
      FROM studies WHERE institution_id = ${institutionId}::uuid AND last_instance_at < now() - make_interval(days => ${retentionDays}::int)`);
    const row = rows[0];
    return { studies: row?.studies ?? 0, sizeBytes: Number(row?.sizeBytes ?? 0), onHold: row?.onHold ?? 0, oldest: row?.oldest ?? null };
  }
}
