import { Injectable } from '@nestjs/common';
import { Prisma } from '../../generated/prisma/client.js';
import { AppError } from '../../kernel/errors.js';
import { MasterKey } from '../crypto/master-key.js';
import { Database } from '../database/database.js';
import type { Principal } from './access.js';

/** What was answered first, complete enough to be said again. */
export type RememberedAnswer =
  | { kind: 'body'; status: number; headers: Record<string, string>; body: unknown }
  | { kind: 'problem'; code: string; detail?: string; errors?: { pointer: string; detail: string }[] };

/** Right to carry out the request; `claimedAt` shows later that nobody took it over. */
export interface Claim {
  institutionId: string;
  principalId: string;
  key: string;
  claimedAt: Date;
}

export type ClaimResult =
  | { outcome: 'claimed'; claim: Claim }
  | { outcome: 'answered'; answer: RememberedAnswer }
  | { outcome: 'in-progress' | 'other-request' };

const REMEMBER_MS = 24 * 3_600_000;
/** A claim that nobody has renewed for so long belongs to a process that died. */
const ABANDONED_MS = 60_000;

/** One row per principal and key: first a claim, then the answer, sealed because answers may hold secrets that are shown once. */
@Injectable()
export class IdempotencyStore {
  constructor(
    private readonly database: Database,
    private readonly masterKey: MasterKey,
  ) {}

  /** @param request  the whole request as text; kept as a keyed fingerprint, because it may hold a password */
  async claim({ institutionId, id: principalId }: Pick<Principal, 'institutionId' | 'id'>, key: string, request: string): Promise<ClaimResult> {
    const requestHash = this.masterKey.fingerprint(request, 'idempotency').toString('hex');
    const scope = { institutionId };
    for (let attempt = 0; attempt < 3; attempt++) {
      const claimedAt = new Date();
      const { count: inserted } = await this.database.write(scope, Prisma.sql`
        INSERT INTO idempotency_records (institution_id, principal_id, key, request_hash, created_at)
        VALUES (${institutionId}::uuid, ${principalId}::uuid, ${key}, ${requestHash}, ${claimedAt}::timestamptz) ON CONFLICT DO NOTHING`);
      if (inserted === 1) return { outcome: 'claimed', claim: { institutionId, principalId, key, claimedAt } };
      const [found] = await this.database.read<RecordRow>(scope, Prisma.sql`
        SELECT request_hash AS "requestHash", status, body, created_at AS "createdAt" FROM idempotency_records WHERE ${isOf({ institutionId, principalId, key })}`);
      if (!found) continue;
      const ageMs = claimedAt.getTime() - found.createdAt.getTime();
      if (ageMs > REMEMBER_MS || (found.status === null && ageMs > ABANDONED_MS)) {
        // Of several that find it abandoned, the one whose delete counts goes on to insert, and the others meet the new row.
        await this.database.write(scope, Prisma.sql`DELETE FROM idempotency_records WHERE ${isOf({ institutionId, principalId, key })} AND created_at = ${found.createdAt}::timestamptz`);
        continue;
      }
      if (found.requestHash !== requestHash) return { outcome: 'other-request' };
      if (found.status === null) return { outcome: 'in-progress' };
      return { outcome: 'answered', answer: this.open(principalId, key, found.body) };
    }
    return { outcome: 'in-progress' };
  }

  /** Shows that the work goes on. @returns the claim to go on with; the old one when somebody took it over */
  async renew(claim: Claim): Promise<Claim> {
    const claimedAt = new Date();
    const { count } = await this.database.write(claim, Prisma.sql`UPDATE idempotency_records SET created_at = ${claimedAt}::timestamptz WHERE ${isUnanswered(claim)}`);
    return count === 1 ? { ...claim, claimedAt } : claim;
  }

  async complete(claim: Claim, answer: RememberedAnswer): Promise<void> {
    const sealed = this.masterKey.seal(Buffer.from(JSON.stringify(answer)), contextOf(claim.principalId, claim.key)).toString('base64');
    const status = answer.kind === 'body' ? answer.status : 0;
    await this.database.write(claim, Prisma.sql`UPDATE idempotency_records SET status = ${status}::int, body = ${JSON.stringify({ sealed })}::jsonb WHERE ${isUnanswered(claim)}`);
  }

  /** Forgets a request that failed through our own fault, so that the same key may try again. */
  async release(claim: Claim): Promise<void> {
    await this.database.write(claim, Prisma.sql`DELETE FROM idempotency_records WHERE ${isUnanswered(claim)}`);
  }

  /** Of all institutions, on a timer. */
  async prune(): Promise<void> {
    await this.database.write('system', Prisma.sql`DELETE FROM idempotency_records WHERE created_at < ${new Date(Date.now() - REMEMBER_MS)}::timestamptz`);
  }

  private open(principalId: string, key: string, body: unknown): RememberedAnswer {
    if (typeof body !== 'object' || body === null || !('sealed' in body) || typeof body.sealed !== 'string') throw new AppError('internal', { detail: 'A remembered answer cannot be read.' });
    // Only `complete` seals under this context.
    return JSON.parse(this.masterKey.open(Buffer.from(body.sealed, 'base64'), contextOf(principalId, key)).toString()) as RememberedAnswer;
  }
}

interface RecordRow {
  requestHash: string;
  status: number | null;
  body: unknown;
  createdAt: Date;
}

function isOf({ institutionId, principalId, key }: Omit<Claim, 'claimedAt'>): Prisma.Sql {
  return Prisma.sql`institution_id = ${institutionId}::uuid AND principal_id = ${principalId}::uuid AND key = ${key}`;
}

function isUnanswered(claim: Claim): Prisma.Sql {
  return Prisma.sql`${isOf(claim)} AND created_at = ${claim.claimedAt}::timestamptz AND status IS NULL`;
}

function contextOf(principalId: string, key: string): string {
  return `idempotency/${principalId}/${key}`;
}
