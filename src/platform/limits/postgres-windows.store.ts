import { createHash } from 'node:crypto';
import { Prisma } from '../../generated/prisma/client.js';
import type { Database } from '../database/database.js';
import { LEASE_SHARE, leaseOf, WINDOW_MS, WindowStore, type Lease, type LeaseRequest } from './window-store.js';

/** Windows in PostgreSQL, in a table that no crash has to keep. */
export class PostgresWindows extends WindowStore {
  constructor(private readonly database: Database) {
    super();
  }

  override async lease(key: string, { limit, needed, wanted }: LeaseRequest): Promise<Lease> {
    const first = leaseOf(limit, { needed, wanted });
    const remaining = Prisma.sql`greatest(0, ${limit}::int - w.granted)`;
    const next = Prisma.sql`least(${remaining}, greatest(${needed}::int, least(${wanted}::int, ${remaining} / ${LEASE_SHARE}::int)))`;
    // now() is one moment in all of the statement; who waited for the row's lock sees what it holds then.
    const { rows: [row] } = await this.database.write<Lease>('system', Prisma.sql`
      INSERT INTO rate_limit_windows AS w (key, granted, leased, ends_at)
      VALUES (${hashOf(key)}, ${first}::int, ${first}::int, now() + ${WINDOW_MS}::int * interval '1 millisecond')
      ON CONFLICT (key) DO UPDATE SET
        leased = CASE WHEN w.ends_at <= now() THEN excluded.leased ELSE ${next} END,
        granted = CASE WHEN w.ends_at <= now() THEN excluded.leased ELSE w.granted + ${next} END,
        ends_at = CASE WHEN w.ends_at <= now() THEN excluded.ends_at ELSE w.ends_at END
      RETURNING leased, greatest(0, ${limit}::int - granted) AS remaining, greatest(0, floor(extract(epoch FROM ends_at - now()) * 1000))::int AS "resetMs"`);
    if (!row) throw new Error('the statement gave no row');
    return row;
  }

  override async prune(): Promise<void> {
    await this.database.write('system', Prisma.sql`DELETE FROM rate_limit_windows WHERE ends_at < now() - interval '1 minute'`);
  }
}

/** Keys name addresses and accounts, and the table is nobody's place to keep those. */
function hashOf(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}
