import { Injectable } from '@nestjs/common';
import type { Transaction } from '../../kernel/transaction.js';
import { prismaOf } from '../../platform/database/database.js';

/** How long a blob may wait for its row before the sweep takes it for the leftover of a process that died. */
const RESERVATION_MINUTES = 10;

/**
 * Blobs that no row names. Every blob begins as one: the tombstone is committed before the bytes and goes away in the
 * transaction that inserts the row, so that no crash, wherever it strikes, leaves bytes that nobody knows of.
 */
@Injectable()
export class TombstonesStore {
  async reserve(tx: Transaction, blobKey: string): Promise<void> {
    await prismaOf(tx).$executeRaw`
      INSERT INTO blob_tombstones (blob_key, due_at) VALUES (${blobKey}, now() + make_interval(mins => ${RESERVATION_MINUTES}::int))`;
  }

  /** Ties the blob to the row of this transaction; false when the sweep has taken it. */
  async claim(tx: Transaction, blobKey: string): Promise<boolean> {
    const { count } = await prismaOf(tx).blobTombstone.deleteMany({ where: { blobKey } });
    return count === 1;
  }

  /** Lets the sweep have the blob now. Does nothing when a row claimed it. */
  async release(tx: Transaction, blobKey: string): Promise<void> {
    await prismaOf(tx).$executeRaw`UPDATE blob_tombstones SET due_at = now() WHERE blob_key = ${blobKey}`;
  }

  /** Buries the bytes of a whole study, in the transaction that removes its rows. */
  async buryStudy(tx: Transaction, studyId: string): Promise<void> {
    await prismaOf(tx).$executeRaw`
      INSERT INTO blob_tombstones (blob_key) SELECT blob_key FROM instances WHERE study_id = ${studyId}::uuid ON CONFLICT DO NOTHING`;
  }

  /** Up to `limit` blobs whose time has come, locked: a second sweep gets others. */
  async due(tx: Transaction, limit: number): Promise<string[]> {
    const rows = await prismaOf(tx).$queryRaw<{ blob_key: string }[]>`
      SELECT blob_key FROM blob_tombstones WHERE due_at <= now() ORDER BY due_at LIMIT ${limit}::int FOR UPDATE SKIP LOCKED`;
    return rows.map(({ blob_key }) => blob_key);
  }

  async forget(tx: Transaction, blobKeys: readonly string[]): Promise<void> {
    await prismaOf(tx).blobTombstone.deleteMany({ where: { blobKey: { in: [...blobKeys] } } });
  }
}
