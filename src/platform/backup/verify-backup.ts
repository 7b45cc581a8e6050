import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError } from '../../kernel/errors.js';
import { discardEmbeddedPostgres, openEmbeddedPostgres } from '../database/embedded-postgres.js';
import type { MasterKey } from '../crypto/master-key.js';
import { assertPart, BLOBS_PART, DATABASE_PART, type BackupFolder, type KnownBackup } from './backup-folder.js';
import type { Opening } from './backup-seal.js';
import { damagedBlobs } from './blob-copies.js';
import type { BlobCopy } from './blob-list.js';
import { assertMigrations, assertOpens, blobsOf, fillDatabase, isAuthentic, keysOf } from './read-backup.js';
import { digestTable } from './table-dump.js';
import { connectAsOwner, inTransaction, referencedBlobs } from './tables.js';

const MOST_NAMED = 20;

export interface VerifyRequest {
  folder: BackupFolder;
  backup: KnownBackup;
  opening: Opening;
  /** Of the installation, where it is at hand. */
  masterKeys: readonly MasterKey[];
  /** Runs work on the URL of an empty database that goes away afterwards; default: an embedded PostgreSQL of its own. */
  inScratch?: (work: (url: string) => Promise<void>) => Promise<void>;
  report: (step: 'blobs' | 'database' | 'compare', done: number) => void;
}

export interface BackupVerification {
  id: string;
  intact: boolean;
  /** What is wrong, each in a sentence. */
  faults: string[];
  /** Whether it is as somebody with the master key wrote it; null without that key. */
  authentic: boolean | null;
  /** The backup whose keys were taken: a later one where its own are no longer kept. */
  keysFrom: string | null;
  tables: number;
  rows: number;
  blobs: number;
  /** Blobs that rows name and that were missing in the installation already. */
  missingBlobs: number;
}

/**
 * Restores a backup into a scratch database, compares rows and digests of every table with those of the snapshot, and reads every blob. The
 * installation is not touched and need not be there.
 *
 * @throws AppError `backup-identity-wrong`, `backup-incompatible`, `storage-unavailable`, `storage-full`: what keeps it from being verified; what is wrong with it is in the answer
 */
export async function verifyBackup(request: VerifyRequest): Promise<BackupVerification> {
  const { folder, backup, masterKeys } = request;
  const { manifest } = backup;
  const faults: string[] = [];
  /** @returns undefined when it found fault */
  const finding = async <T>(work: Promise<T>): Promise<T | undefined> => work.catch((error: unknown) => {
    if (!(error instanceof AppError) || error.code !== 'backup-corrupt') throw error;
    faults.push(error.message);
    return undefined;
  });
  const authentic = isAuthentic(backup, masterKeys);
  if (authentic === false) faults.push('The manifest was not written by somebody with the master key.');
  await assertMigrations(manifest);
  const hasDatabase = (await finding(assertPart(folder.pathOf(backup.id, DATABASE_PART), manifest.database).then(() => true))) ?? false;
  if (hasDatabase) await finding(assertOpens(folder, backup, request.opening));
  const blobs = await finding(assertPart(folder.pathOf(backup.id, BLOBS_PART), manifest.blobs).then(() => blobsOf(folder, backup)));
  if (blobs) {
    const damaged = await damagedBlobs(folder, blobs.values(), (done) => { request.report('blobs', done / Math.max(1, blobs.size)); });
    for (const key of damaged.slice(0, MOST_NAMED)) faults.push(`The copy of the blob ${key} is missing or damaged.`);
    if (damaged.length > MOST_NAMED) faults.push(`… and of ${String(damaged.length - MOST_NAMED)} more.`);
  }
  const keys = await finding(keysOf(folder, backup, masterKeys));
  const tables = [...manifest.database.tables, ...(keys?.manifest.keys.tables ?? [])];
  if (hasDatabase && keys && faults.length === 0) await finding(compareInScratch(request, keys, blobs ?? new Map(), faults));
  const rows = tables.reduce((sum, table) => sum + table.rows, 0);
  return { id: backup.id, intact: faults.length === 0, faults, authentic, keysFrom: keys?.id ?? null, tables: tables.length, rows, blobs: manifest.blobs.count, missingBlobs: manifest.blobs.missing };
}

async function compareInScratch({ folder, backup, opening, report, inScratch = inScratchDatabase }: VerifyRequest, keys: KnownBackup, blobs: ReadonlyMap<string, BlobCopy>, faults: string[]): Promise<void> {
  const tables = [...backup.manifest.database.tables, ...keys.manifest.keys.tables];
  report('database', 0);
  await inScratch(async (url) => {
    await fillDatabase(folder, backup, keys, opening, { url, ssl: undefined });
    const client = await connectAsOwner(url, undefined);
    try {
      await inTransaction(client, 'snapshot', async () => {
        for (const [index, table] of tables.entries()) {
          report('compare', index / tables.length);
          const restored = await digestTable(client, table);
          if (restored.rows !== table.rows || restored.digest !== table.digest) faults.push(`${table.name} has ${String(restored.rows)} rows with another digest than the ${String(table.rows)} of the snapshot.`);
        }
        let missing = 0;
        for await (const key of referencedBlobs(client, tables)) if (!blobs.has(key)) missing++;
        if (missing !== backup.manifest.blobs.missing) faults.push(`${String(missing)} blobs are named by rows and are not in the backup; ${String(backup.manifest.blobs.missing)} were missing when it was taken.`);
      });
    } finally {
      await client.end().catch(() => undefined);
    }
  });
}

/** An embedded PostgreSQL in a temporary folder, gone afterwards. */
export async function inScratchDatabase(work: (url: string) => Promise<void>): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), 'healthvision-verify-'));
  // Root runs PostgreSQL under an account that has to pass.
  await chmod(dataDir, 0o711);
  try {
    const scratch = await openEmbeddedPostgres({ dataDir, log: () => undefined });
    try {
      await work(scratch.url);
    } finally {
      await scratch.close();
    }
  } finally {
    await discardEmbeddedPostgres(dataDir).catch(() => undefined);
    await rm(dataDir, { recursive: true, force: true });
  }
}
