import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { rm } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type pg from 'pg';
import type { ClientConfig } from 'pg';
import { AppError } from '../../kernel/errors.js';
import type { Config } from '../config.js';
import type { MasterKey } from '../crypto/master-key.js';
import { DELETION_HOLD } from '../storage/deletion-hold.js';
import type { ObjectStore } from '../storage/object-store.js';
import { VERSION } from '../version.js';
import { BLOBS_PART, DATABASE_PART, KEYS_PART, fileDigest, folderError, type BackupFolder } from './backup-folder.js';
import { MANIFEST_FORMAT, manifestMac, newBackupId, type BackupManifest, type TableCopy } from './backup-manifest.js';
import { sealedFor, sealer, type Sealing } from './backup-seal.js';
import { copyBlobs } from './blob-copies.js';
import { readBlobList, writeBlobList, type BlobCopy } from './blob-list.js';
import { prune } from './retention.js';
import { publicSettings } from './settings-snapshot.js';
import { dumpTables } from './table-dump.js';
import { appliedMigrations, connectAsOwner, inTransaction, KEY_TABLES, referencedBlobs, tableShapes, type TableShape } from './tables.js';

/** Advisory lock of whoever takes a backup of this database; random. */
const ONE_BACKUP = '8127340956182733';
/** Rows of sealed values shrink to about half; more effort gains little. */
const GZIP_LEVEL = 4;
/** So that no server or firewall takes the connection for forgotten while blobs are copied. */
const PULSE_MS = 20_000;

export interface BackupRequest {
  config: Config;
  folder: BackupFolder;
  sealing: Sealing;
  /** Older backups are removed. */
  keepDays: number;
  ownerUrl: string;
  ssl: ClientConfig['ssl'];
  store: ObjectStore;
  masterKey: MasterKey;
  /** Told what is being done, and how far it has come where that is known. */
  report: (step: BackupStep, done: number) => void;
}

export type BackupStep = 'database' | 'blobs' | 'prune';

export interface BackupOutcome {
  manifest: BackupManifest;
  pruned: { backups: number; objects: number };
}

/**
 * Takes a backup of a working installation. Rows are those of one snapshot; every blob that they name is copied, because none is removed for good from
 * before the snapshot until the end.
 *
 * @throws AppError `backup-running`, `database-unavailable`, `storage-full`, `storage-unavailable`, `configuration-invalid`; no half of a backup is left that anybody could take for one
 */
export async function takeBackup(request: BackupRequest): Promise<BackupOutcome> {
  const { folder, keepDays, report } = request;
  const seal = await sealer(request.sealing);
  return folder.locked(async () => {
    await folder.sweepHalves();
    const client = await connectAsOwner(request.ownerUrl, request.ssl);
    const pulse = setInterval(() => { client.query('SELECT 1').catch(() => undefined); }, PULSE_MS);
    try {
      await holdDeletions(client);
      const manifest = await oneBackup(request, client, seal);
      report('prune', 0);
      const pruned = await prune(folder, keepDays, new Date());
      return { manifest, pruned };
    } finally {
      clearInterval(pulse);
      // The session takes its locks with it.
      await client.end().catch(() => undefined);
    }
  });
}

/** @throws AppError `backup-running` */
async function holdDeletions(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ had: boolean }>('SELECT pg_try_advisory_lock($1) AS had', [ONE_BACKUP]);
  if (rows[0]?.had !== true) throw new AppError('backup-running', { detail: 'A backup of this installation into another folder is under way.' });
  // Waits for sweeps that are removing blobs; those that come later find it taken.
  await client.query('SELECT pg_advisory_lock($1)', [String(DELETION_HOLD)]);
}

async function oneBackup({ config, folder, sealing, store, masterKey, report }: BackupRequest, client: pg.Client, seal: Awaited<ReturnType<typeof sealer>>): Promise<BackupManifest> {
  const at = new Date();
  const id = newBackupId(at);
  const known = await newestBlobs(folder);
  const draft = await folder.begin(id);
  try {
    report('database', 0);
    const { references, ...rows } = await dumpDatabase(client, draft, seal, report);
    report('blobs', 0);
    const { blobs, copied, copiedBytes } = await copyBlobs(store, folder, known, (done) => { report('blobs', done); });
    await assertHeld(client);
    await writeBlobList(join(draft, BLOBS_PART), blobs.values()).catch((error: unknown) => { throw folderError(error); });
    const settings = publicSettings(config);
    const manifest: BackupManifest = {
      format: MANIFEST_FORMAT, id, at: at.toISOString(), finishedAt: new Date().toISOString(), productVersion: VERSION, masterKeyId: masterKey.id, sealedFor: sealedFor(sealing), ...rows,
      blobs: {
        ...(await fileDigest(join(draft, BLOBS_PART))), count: blobs.size, totalBytes: [...blobs.values()].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0), copied, copiedBytes,
        missing: references.filter((key) => !blobs.has(key)).length,
      },
      settings,
    };
    const text = `${JSON.stringify(manifest, null, 1)}\n`;
    await folder.finish(id, text, manifestMac(text, masterKey));
    await folder.keepSettings(id, `${JSON.stringify(settings, null, 2)}\n`);
    return manifest;
  } catch (error) {
    await rm(draft, { recursive: true, force: true }).catch(() => undefined);
    throw error;
  }
}

type DumpedDatabase = Pick<BackupManifest, 'migrations' | 'database' | 'keys'> & {
  /** Keys of blobs that rows name. */
  references: string[];
};

async function dumpDatabase(client: pg.Client, folder: string, seal: Awaited<ReturnType<typeof sealer>>, report: BackupRequest['report']): Promise<DumpedDatabase> {
  return inTransaction(client, 'snapshot', async () => {
    // The first query takes the snapshot.
    const migrations = await appliedMigrations(client);
    const shapes = await tableShapes(client);
    let done = 0;
    const write = async (part: string, chosen: readonly TableShape[]): Promise<BackupManifest['database']> => {
      const tables: TableCopy[] = [];
      const path = join(folder, part);
      const dump = dumpTables(client, chosen, (copy) => { tables.push(copy); report('database', ++done / shapes.length); });
      await pipeline(dump, createGzip({ level: GZIP_LEVEL }), seal, createWriteStream(path, { flags: 'wx', mode: 0o600, flush: true })).catch(asFolderError);
      return { ...(await fileDigest(path)), tables };
    };
    const keys = await write(KEYS_PART, shapes.filter(({ name }) => KEY_TABLES.includes(name)));
    const database = await write(DATABASE_PART, shapes.filter(({ name }) => !KEY_TABLES.includes(name)));
    return { keys, database, migrations, references: await allReferences(client, shapes) };
  });
}

async function allReferences(client: pg.Client, shapes: readonly TableShape[]): Promise<string[]> {
  const keys: string[] = [];
  for await (const key of referencedBlobs(client, shapes)) keys.push(key);
  return keys;
}

/** A connection that was lost gave the hold on deletions back: what was copied after that may have holes. */
async function assertHeld(client: pg.Client): Promise<void> {
  await client.query('SELECT 1').catch((cause: unknown) => { throw new AppError('database-unavailable', { detail: 'PostgreSQL was away while blobs were copied.', cause }); });
}

/** Of the newest backup whose list can be read. */
async function newestBlobs(folder: BackupFolder): Promise<Map<string, BlobCopy>> {
  const known = new Map<string, BlobCopy>();
  const newest = (await folder.ids()).at(-1);
  if (newest === undefined) return known;
  try {
    for await (const blob of readBlobList(folder.pathOf(newest, BLOBS_PART), Infinity)) known.set(blob.key, blob);
    return known;
  } catch {
    // Then everything is read again, and what lies there already takes no more room.
    return new Map();
  }
}

function asFolderError(error: unknown): never {
  throw error instanceof Error && 'syscall' in error ? folderError(error) : error;
}
