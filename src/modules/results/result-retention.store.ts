import { Injectable } from '@nestjs/common';
import { Prisma } from '../../generated/prisma/client.js';
import type { Transaction } from '../../kernel/transaction.js';
import { Database, prismaOf } from '../../platform/database/database.js';
import type { ObjectRef } from './results.contract.js';
import { blobKeysOf } from './results.store.js';

/** A result whose time is over. */
export interface ExpiredResult {
  id: string;
  institutionId: string;
  analysisId: string;
  /** SEG and SR, which go with it. */
  sopInstanceUids: string[];
}

export interface ResultRetentionPreview {
  results: number;
  onHold: number;
  oldest: Date | null;
}

/** Results as the retention of their institutions sees them. Whether it is kept for a legal reason is said of the study. */
@Injectable()
export class ResultRetentionStore {
  constructor(private readonly database: Database) {}

  /**
   * Removes up to `limit` results that are older than their institution keeps them and whose study is not on hold, and leaves their
   * heat maps to the sweep. What others hold is passed over; nobody puts the studies on hold before the commit.
   */
  async removeExpired(tx: Transaction, limit: number): Promise<ExpiredResult[]> {
    const client = prismaOf(tx);
    const expired = await client.$queryRaw<(Omit<ExpiredResult, 'sopInstanceUids'> & { rendering: Prisma.JsonValue; objects: Prisma.JsonValue })[]>`
      SELECT r.id, r.institution_id AS "institutionId", r.analysis_id AS "analysisId", r.rendering, r.objects
      FROM institutions n JOIN results r ON r.institution_id = n.id JOIN studies s ON s.id = r.study_id
      WHERE n.result_retention_days IS NOT NULL AND r.created_at < now() - make_interval(days => n.result_retention_days) AND NOT s.legal_hold
      ORDER BY r.created_at LIMIT ${limit}::int FOR UPDATE OF r SKIP LOCKED FOR NO KEY UPDATE OF s SKIP LOCKED`;
    // Comparisons are kept no longer than what they compare.
    await client.$executeRaw`
      DELETE FROM shadow_results WHERE analysis_id IN (
        SELECT r.analysis_id FROM institutions n JOIN shadow_results r ON r.institution_id = n.id JOIN studies s ON s.id = r.study_id
        WHERE n.result_retention_days IS NOT NULL AND r.created_at < now() - make_interval(days => n.result_retention_days) AND NOT s.legal_hold
        ORDER BY r.created_at LIMIT ${limit}::int FOR UPDATE OF r SKIP LOCKED)`;
    if (expired.length === 0) return [];
    const blobs = expired.flatMap(({ rendering }) => blobKeysOf(rendering)).map((blobKey) => ({ blobKey }));
    if (blobs.length > 0) await client.blobTombstone.createMany({ data: blobs, skipDuplicates: true });
    await client.result.deleteMany({ where: { id: { in: expired.map(({ id }) => id) } } });
    // `ResultsStore.insert` writes the column.
    return expired.map(({ id, institutionId, analysisId, objects }) => ({ id, institutionId, analysisId, sopInstanceUids: (objects as unknown as ObjectRef[]).map(({ sopInstanceUid }) => sopInstanceUid) }));
  }

  /** null = as long as their study. */
  async retentionDaysOf(institutionId: string): Promise<number | null> {
    const rows = await this.database.read<{ days: number | null }>({ institutionId }, Prisma.sql`SELECT result_retention_days AS days FROM institutions WHERE id = ${institutionId}::uuid`);
    return rows[0]?.days ?? null;
  }

  async preview(institutionId: string, retentionDays: number): Promise<ResultRetentionPreview> {
    const rows = await this.database.read<{ results: number; onHold: number; oldest: Date | null }>({ institutionId }, Prisma.sql`
      SELECT (count(*) FILTER (WHERE NOT s.legal_hold))::int AS results, (count(*) FILTER (WHERE s.legal_hold))::int AS "onHold", min(r.created_at) FILTER (WHERE NOT s.legal_hold) AS oldest
      FROM results r JOIN studies s ON s.id = r.study_id
      WHERE r.institution_id = ${institutionId}::uuid AND r.created_at < now() - make_interval(days => ${retentionDays}::int)`);
    return rows[0] ?? { results: 0, onHold: 0, oldest: null };
  }
}
