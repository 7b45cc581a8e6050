import type pg from 'pg';
import type { ClientConfig } from 'pg';
import { AppError } from '../../kernel/errors.js';
import type { MasterKey } from '../crypto/master-key.js';
import type { ObjectStore } from '../storage/object-store.js';
import { assertPart, BLOBS_PART, DATABASE_PART, type BackupFolder, type KnownBackup } from './backup-folder.js';
import type { Opening } from './backup-seal.js';
import { removeBlobs, restoreBlobs } from './blob-copies.js';
import type { BlobCopy } from './blob-list.js';
import { assertMigrations, assertOpens, blobsOf, fillDatabase, isAuthentic, keysOf } from './read-backup.js';
import { appliedMigrations, connectAsOwner, filledTables, inTransaction, tableShapes } from './tables.js';

export interface RestoreRequest {
  folder: BackupFolder;
  backup: KnownBackup;
  opening: Opening;
  /** Of the installation that is to be. */
  masterKeys: readonly MasterKey[];
  report: (step: 'check' | 'blobs' | 'database', done: number) => void;
}

/**
 * What can be said against a restore before anything is opened or started.
 *
 * @throws AppError `backup-key-missing`, `backup-corrupt`, `backup-incompatible`, `backup-identity-wrong`
 */
export async function assertRestorable({ folder, backup, opening, masterKeys, report }: RestoreRequest): Promise<void> {
  const { manifest, id } = backup;
  const authentic = isAuthentic(backup, masterKeys);
  if (authentic === null) {
    throw new AppError('backup-key-missing', {
      detail: `${id} was made under the master key ${manifest.masterKeyId}, without which nothing that is encrypted in it can ever be read: give that key as MASTER_KEY, or the file of --keys-to as --keys-from.`,
    });
  }
  if (!authentic) throw new AppError('backup-corrupt', { detail: `The manifest of ${id} was not written by somebody with the master key.` });
  report('check', 0);
  await assertMigrations(manifest);
  await assertPart(folder.pathOf(id, DATABASE_PART), manifest.database);
  await assertPart(folder.pathOf(id, BLOBS_PART), manifest.blobs);
  await keysOf(folder, backup, masterKeys);
  await assertOpens(folder, backup, opening);
}

/**
 * Fills an empty installation: blobs first, then all tables in one transaction. Until that has committed the installation is empty; what fails takes the
 * blobs away that it brought, and after a crash the same restore goes on. A store that kept its blobs while the database was lost keeps them.
 *
 * @param target  URL of the owner
 * @throws AppError `restore-target-not-empty`, `backup-corrupt`, `storage-full`, `storage-unavailable`
 */
export async function restoreBackup({ folder, backup, opening, masterKeys, report }: RestoreRequest, store: ObjectStore, target: { url: string; ssl: ClientConfig['ssl'] }): Promise<void> {
  await assertEmptyDatabase(backup, target);
  const keys = await keysOf(folder, backup, masterKeys);
  const blobs = await blobsOf(folder, backup);
  const there = await assertEmptyStore(store, blobs);
  const put = new Set<string>();
  try {
    await restoreBlobs(store, folder, blobs.values(), put, (done) => { report('blobs', done / Math.max(1, blobs.size)); });
    report('database', 0);
    await fillDatabase(folder, backup, keys, opening, target, handOverAgain);
  } catch (error) {
    await removeBlobs(store, [...put].filter((key) => !there.has(key))).catch(() => undefined);
    throw error;
  }
}

/**
 * The queue did not come along, and with it the jobs of events that had been handed to it. Those that the outbox still has are handed over once more: a
 * job looks at the rows first, so that what was done already is not done again.
 */
async function handOverAgain(client: pg.Client): Promise<void> {
  await inTransaction(client, 'write', () => client.query('UPDATE outbox SET dispatched_at = NULL WHERE dispatched_at IS NOT NULL'));
}

/** @throws AppError `restore-target-not-empty` */
async function assertEmptyDatabase({ manifest }: KnownBackup, { url, ssl }: { url: string; ssl: ClientConfig['ssl'] }): Promise<void> {
  const client = await connectAsOwner(url, ssl);
  try {
    await inTransaction(client, 'snapshot', async () => {
      const filled = await filledTables(client, await tableShapes(client));
      if (filled.length > 0) throw new AppError('restore-target-not-empty', { detail: `The database has rows in ${filled.slice(0, 5).join(', ')}${filled.length > 5 ? ' …' : ''}: restore into an empty one (another DATA_DIR or DATABASE_URL).` });
      const known = new Set(manifest.migrations.map(({ name }) => name));
      const later = (await appliedMigrations(client)).filter(({ name }) => !known.has(name));
      if (later.length > 0) throw new AppError('restore-target-not-empty', { detail: `The database has no rows, but tables of a later version than the backup (${later[0]?.name ?? ''}): restore into one without tables; it is migrated afterwards.` });
    });
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** What the same restore left when it was cut off counts as nothing. @returns keys of what is there all the same @throws AppError `restore-target-not-empty` */
async function assertEmptyStore(store: ObjectStore, blobs: ReadonlyMap<string, BlobCopy>): Promise<Set<string>> {
  const there = new Set<string>();
  for await (const { key } of store.list('')) {
    if (!blobs.has(key)) throw new AppError('restore-target-not-empty', { detail: 'The blob store holds objects that are not of this backup: restore into an empty one (another DATA_DIR or S3_BUCKET).' });
    there.add(key);
  }
  return there;
}
