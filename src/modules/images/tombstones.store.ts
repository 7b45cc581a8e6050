import { Injectable } from '@nestjs/common';
import { Prisma } from '../../generated/prisma/client.js';
import type { Transaction } from '../../kernel/transaction.js';
import { Database, prismaOf } from '../../platform/database/database.js';
import { DELETION_HOLD } from '../../platform/storage/deletion-hold.js';

/** How long a blob may wait for its row before the sweep takes it for the leftover of a process that died. */
const RESERVATION_MINUTES = 10;

/**
 * Blobs that no row names. Every blob begins as one: the tombstone is committed before the bytes and goes away in the
 * transaction that inserts the row, so that no crash, wherever it strikes, leaves bytes that nobody knows of.
 */
@Injectable()
export class TombstonesStore {
  constructor(private readonly database: Database) {}

  /** Before the bytes of these blobs are made durable. */
  async reserve(institutionId: string, blobKeys: readonly string[]): Promise<void> {
    await this.database.write({ institutionId }, Prisma.sql`
      INSERT INTO blob_tombstones (blob_key, due_at) SELECT key, now() + make_interval(mins => ${RESERVATION_MINUTES}::int) FROM unnest(${[...blobKeys]}::text[]) AS key`);
  }

  /** While making them durable takes its time. */
  async extend(institutionId: string, blobKeys: readonly string[]): Promise<void> {
    await this.database.write({ institutionId }, Prisma.sql`
      UPDATE blob_tombstones SET due_at = now() + make_interval(mins => ${RESERVATION_MINUTES}::int) WHERE blob_key = ANY (${[...blobKeys]}::text[])`);
  }

  /** Ties blobs to the rows of this transaction; false when the sweep has taken one of them. */
  async claim(tx: Transaction, blobKeys: readonly string[]): Promise<boolean> {
    const count = blobKeys.length === 0 ? 0 : await prismaOf(tx).$executeRaw`DELETE FROM blob_tombstones WHERE blob_key = ANY (${[...blobKeys]}::text[])`;
    return count === blobKeys.length;
  }

  /** Lets the sweep have blobs now. Does nothing for those that a row claimed. */
  async release(institutionId: string, blobKeys: readonly string[]): Promise<void> {
    await this.database.write({ institutionId }, Prisma.sql`UPDATE blob_tombstones SET due_at = now() WHERE blob_key = ANY (${[...blobKeys]}::text[])`);
  }

  /** Buries the bytes of a whole study, in the transaction that removes its rows. */
  async buryStudy(tx: Transaction, studyId: string): Promise<void> {
    await prismaOf(tx).$executeRaw`
      INSERT INTO blob_tombstones (blob_key)
      SELECT blob_key FROM instances WHERE study_id = ${studyId}::uuid UNION SELECT blob_key FROM instance_versions WHERE study_id = ${studyId}::uuid ON CONFLICT DO NOTHING`;
    await prismaOf(tx).$executeRaw`DELETE FROM instance_versions WHERE study_id = ${studyId}::uuid`;
  }

  /** Up to `limit` blobs whose time has come, locked: a second sweep gets others. None while a backup copies what its snapshot names. */
  async due(tx: Transaction, limit: number): Promise<string[]> {
    const rows = await prismaOf(tx).$queryRaw<{ blob_key: string }[]>`
      WITH hold AS MATERIALIZED (SELECT pg_try_advisory_xact_lock_shared(${DELETION_HOLD}::bigint) AS is_free)
      SELECT blob_key FROM blob_tombstones WHERE due_at <= now() AND (SELECT is_free FROM hold) ORDER BY due_at LIMIT ${limit}::int FOR UPDATE SKIP LOCKED`;
    return rows.map(({ blob_key }) => blob_key);
  }

  async forget(tx: Transaction, blobKeys: readonly string[]): Promise<void> {
    await prismaOf(tx).blobTombstone.deleteMany({ where: { blobKey: { in: [...blobKeys] } } });
  }
}
