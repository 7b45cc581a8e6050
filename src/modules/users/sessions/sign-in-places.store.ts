import { Injectable } from '@nestjs/common';
import { Prisma } from '../../../generated/prisma/client.js';
import { Database, prismaOf } from '../../../platform/database/database.js';

/** A place where the person has not been for so long is as strange as any other. */
const USUAL_DAYS = 30;
/** So long after the last wrong password from a place its count begins anew. */
const FAILURES_LAST_HOURS = 24;

interface Person {
  id: string;
  institutionId: string;
}

/** How a place stands with an account. */
export interface Standing {
  lockedUntil: Date | null;
  /** The person has signed in from there in the last 30 days. */
  isUsual: boolean;
  /** Wrong passwords of the last day from places where the person has never signed in. */
  strangeFailures: number;
  strangeFailedAt: Date | null;
}

/** From where people sign in, and from where their passwords are guessed: whoever guesses keeps out themselves, not the person. Addresses are as `callerAddress` gives them. */
@Injectable()
export class SignInPlacesStore {
  constructor(private readonly database: Database) {}

  async standing({ id, institutionId }: Person, address: string): Promise<Standing> {
    const [row] = await this.database.read<Standing>({ institutionId }, Prisma.sql`
      SELECT max(locked_until) FILTER (WHERE address = ${address}) AS "lockedUntil",
        coalesce(bool_or(last_succeeded_at > now() - make_interval(days => ${USUAL_DAYS}::int)) FILTER (WHERE address = ${address}), false) AS "isUsual",
        coalesce(sum(failures) FILTER (WHERE last_succeeded_at IS NULL AND last_failed_at > now() - make_interval(hours => ${FAILURES_LAST_HOURS}::int)), 0)::int AS "strangeFailures",
        max(last_failed_at) FILTER (WHERE last_succeeded_at IS NULL AND failures > 0) AS "strangeFailedAt"
      FROM sign_in_places WHERE user_id = ${id}::uuid AND institution_id = ${institutionId}::uuid`);
    return row ?? { lockedUntil: null, isUsual: false, strangeFailures: 0, strangeFailedAt: null };
  }

  /** Whatever the institution: whoever signs in names none. */
  async isUsual(email: string, address: string): Promise<boolean> {
    if (email.includes('\0')) return false;
    const rows = await this.database.read('system', Prisma.sql`
      SELECT 1 FROM sign_in_places p JOIN users u ON u.id = p.user_id
      WHERE u.email = ${email.toLowerCase()} AND p.address = ${address} AND p.last_succeeded_at > now() - make_interval(days => ${USUAL_DAYS}::int)`);
    return rows.length > 0;
  }

  /** Counts a wrong password, and has the place wait by the number of those in a row. Forgets places of long ago. */
  async recordFailure({ id, institutionId }: Person, address: string, lockSeconds: (failures: number) => number): Promise<void> {
    await this.database.transaction({ institutionId }, async (tx) => {
      const client = prismaOf(tx);
      await client.$executeRaw`
        DELETE FROM sign_in_places WHERE user_id = ${id}::uuid AND greatest(last_failed_at, last_succeeded_at) < now() - make_interval(days => ${USUAL_DAYS}::int)`;
      const [row] = await client.$queryRaw<{ failures: number }[]>`
        INSERT INTO sign_in_places AS p (institution_id, user_id, address, failures, last_failed_at) VALUES (${institutionId}::uuid, ${id}::uuid, ${address}, 1, now())
        ON CONFLICT (user_id, address) DO UPDATE
        SET failures = CASE WHEN p.last_failed_at > now() - make_interval(hours => ${FAILURES_LAST_HOURS}::int) THEN p.failures + 1 ELSE 1 END, last_failed_at = now() RETURNING failures`;
      const seconds = lockSeconds(row?.failures ?? 0);
      if (seconds > 0) await client.$executeRaw`UPDATE sign_in_places SET locked_until = now() + make_interval(secs => ${seconds}::float8) WHERE user_id = ${id}::uuid AND address = ${address}`;
    });
  }

  async recordSuccess({ id, institutionId }: Person, address: string): Promise<void> {
    await this.database.write({ institutionId }, Prisma.sql`
      INSERT INTO sign_in_places (institution_id, user_id, address, last_succeeded_at) VALUES (${institutionId}::uuid, ${id}::uuid, ${address}, now())
      ON CONFLICT (user_id, address) DO UPDATE SET failures = 0, locked_until = NULL, last_succeeded_at = now()`);
  }
}
