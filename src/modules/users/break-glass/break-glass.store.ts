import { Injectable } from '@nestjs/common';
import { Prisma } from '../../../generated/prisma/client.js';
import type { Transaction } from '../../../kernel/transaction.js';
import { columnsOf } from '../../../platform/database/columns.js';
import { Database, prismaOf } from '../../../platform/database/database.js';
import type { PageQuery } from '../../../platform/http/page.js';

export type BreakGlassGrant = Prisma.BreakGlassGrantGetPayload<object>;
export type NewGrant = Pick<BreakGlassGrant, 'id' | 'institutionId' | 'userId' | 'reason' | 'permissions'> & { minutes: number };

/** Which grants a caller may see: one person's, or all of the institution. */
export interface GrantReach {
  institutionId: string;
  userId?: string;
}

const COLUMNS = columnsOf(Prisma.BreakGlassGrantScalarFieldEnum);

/** Permissions that people took in an emergency. Rows stay: they are the record. */
@Injectable()
export class BreakGlassStore {
  constructor(private readonly database: Database) {}

  async create(tx: Transaction, { id, institutionId, userId, reason, permissions, minutes }: NewGrant): Promise<BreakGlassGrant> {
    const rows = await prismaOf(tx).$queryRaw<BreakGlassGrant[]>`
      INSERT INTO break_glass_grants (id, institution_id, user_id, reason, permissions, expires_at)
      VALUES (${id}::uuid, ${institutionId}::uuid, ${userId}::uuid, ${reason}, ${permissions}::text[], now() + make_interval(mins => ${minutes}::int)) RETURNING ${COLUMNS}`;
    const [row] = rows;
    if (!row) throw new Error('an insert returned no row');
    return row;
  }

  /** What somebody holds now, newest first. */
  async activeOf(institutionId: string, userId: string): Promise<BreakGlassGrant[]> {
    return this.database.read<BreakGlassGrant>({ institutionId }, Prisma.sql`
      SELECT ${COLUMNS} FROM break_glass_grants WHERE institution_id = ${institutionId}::uuid AND user_id = ${userId}::uuid AND ended_at IS NULL AND expires_at > now() ORDER BY id DESC`);
  }

  /** Newest first; one row more than `limit` when there are more. */
  async list({ institutionId, userId }: GrantReach, { limit, cursor }: PageQuery, isActive: boolean | undefined): Promise<BreakGlassGrant[]> {
    const conditions = [
      Prisma.sql`institution_id = ${institutionId}::uuid`,
      userId !== undefined && Prisma.sql`user_id = ${userId}::uuid`,
      cursor !== undefined && Prisma.sql`id < ${cursor}::uuid`,
      isActive !== undefined && Prisma.sql`(ended_at IS NULL AND expires_at > now()) = ${isActive}::boolean`,
    ].filter((condition) => condition !== false);
    return this.database.read<BreakGlassGrant>({ institutionId }, Prisma.sql`SELECT ${COLUMNS} FROM break_glass_grants WHERE ${Prisma.join(conditions, ' AND ')} ORDER BY id DESC LIMIT ${limit + 1}::int`);
  }

  /** Holds the row until the transaction ends. */
  async lock(tx: Transaction, { institutionId, userId }: GrantReach, id: string): Promise<BreakGlassGrant | undefined> {
    const rows = await prismaOf(tx).$queryRaw<BreakGlassGrant[]>`
      SELECT ${COLUMNS} FROM break_glass_grants WHERE id = ${id}::uuid AND institution_id = ${institutionId}::uuid AND (${userId ?? null}::uuid IS NULL OR user_id = ${userId ?? null}::uuid) FOR UPDATE`;
    return rows[0];
  }

  /** One that is over already keeps its end. */
  async end(tx: Transaction, id: string): Promise<void> {
    await prismaOf(tx).$executeRaw`UPDATE break_glass_grants SET ended_at = now() WHERE id = ${id}::uuid AND ended_at IS NULL AND expires_at > now()`;
  }

  async review(tx: Transaction, id: string, reviewedBy: string): Promise<BreakGlassGrant> {
    return prismaOf(tx).breakGlassGrant.update({ where: { id }, data: { reviewedBy, reviewedAt: new Date() } });
  }

  /** In the whole installation: active now, and over for good but not looked at by anybody. */
  async counts(): Promise<{ active: number; unreviewed: number }> {
    const rows = await this.database.read<{ active: number; unreviewed: number }>('system', Prisma.sql`
      SELECT (count(*) FILTER (WHERE ended_at IS NULL AND expires_at > now()))::int AS active, (count(*) FILTER (WHERE reviewed_at IS NULL))::int AS unreviewed FROM break_glass_grants`);
    return rows[0] ?? { active: 0, unreviewed: 0 };
  }
}
