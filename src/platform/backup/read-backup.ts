import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import type pg from 'pg';
import type { ClientConfig } from 'pg';
import { AppError } from '../../kernel/errors.js';
import type { MasterKey } from '../crypto/master-key.js';
import { applyMigrations, packagedMigrations, readMigrations } from '../database/migrations.js';
import { assertPart, BLOBS_PART, DATABASE_PART, KEYS_PART, type BackupFolder, type KnownBackup } from './backup-folder.js';
import { manifestMac, type BackupManifest } from './backup-manifest.js';
import { opener, type Opening } from './backup-seal.js';
import { readBlobList, type BlobCopy } from './blob-list.js';
import { loadTables } from './table-load.js';

/** Whether only somebody with the master key can have written it; null when the key is another. */
export function isAuthentic({ text, mac, manifest }: KnownBackup, masterKeys: readonly MasterKey[]): boolean | null {
  const masterKey = masterKeys.find(({ id }) => id === manifest.masterKeyId);
  return masterKey === undefined ? null : manifestMac(text, masterKey) === mac;
}

/** @throws AppError `backup-incompatible` when this version does not have every migration of the backup, as it was */
export async function assertMigrations({ id, migrations, productVersion }: BackupManifest): Promise<void> {
  const ours = new Map((await readMigrations(packagedMigrations())).map(({ name, sql }) => [name, createHash('sha256').update(sql).digest('hex')]));
  const unknown = migrations.find(({ name, checksum }) => ours.get(name) !== checksum);
  if (unknown) throw new AppError('backup-incompatible', { detail: `${id} was made by version ${productVersion}, whose migration ${unknown.name} this version does not have: restore it with that version or a later one.` });
}

/**
 * Makes the tables that the backup was taken of in an empty database and fills them, while no other process migrates.
 *
 * @param keys  where the keys of institutions and studies come from: `BackupFolder.keysFor`
 * @param afterwards  runs on the same connection once they are filled
 * @throws AppError `backup-corrupt`, `backup-identity-wrong`, `restore-target-not-empty`, `configuration-invalid`
 */
export async function fillDatabase(folder: BackupFolder, { id, manifest }: KnownBackup, keys: KnownBackup, opening: Opening, target: { url: string; ssl: ClientConfig['ssl'] }, afterwards?: (client: pg.Client) => Promise<void>): Promise<void> {
  const open = await opener(opening);
  const only = new Set(manifest.migrations.map(({ name }) => name));
  await applyMigrations(target.url, {
    only, ...(target.ssl !== undefined && { ssl: target.ssl }),
    afterwards: async (client) => {
      await loadTables(client, [
        { tables: manifest.database.tables, unpack: (take) => unpacked(folder.pathOf(id, DATABASE_PART), open, take) },
        { tables: keys.manifest.keys.tables, unpack: (take) => unpacked(folder.pathOf(keys.id, KEYS_PART), open, take) },
      ]);
      await afterwards?.(client);
    },
  });
}

/** Decrypts the first bytes of the tables. @throws AppError `backup-identity-wrong`, `backup-corrupt` */
export async function assertOpens(folder: BackupFolder, { id }: KnownBackup, opening: Opening): Promise<void> {
  const open = await opener(opening);
  const source = createReadStream(folder.pathOf(id, DATABASE_PART));
  for await (const first of open(source)) if (first.length > 0) break;
  source.destroy();
}

/**
 * The backup that the keys come from.
 *
 * @throws AppError `backup-corrupt` when it or its keys are not what somebody with the master key wrote
 */
export async function keysOf(folder: BackupFolder, backup: KnownBackup, masterKeys: readonly MasterKey[]): Promise<KnownBackup> {
  const keys = await folder.keysFor(backup);
  if (isAuthentic(keys, masterKeys) === false) throw new AppError('backup-corrupt', { detail: `The manifest of ${keys.id} was not written by somebody with the master key.` });
  await assertPart(folder.pathOf(keys.id, KEYS_PART), keys.manifest.keys);
  return keys;
}

/** By key. @throws AppError `backup-corrupt` */
export async function blobsOf(folder: BackupFolder, { id, manifest }: KnownBackup): Promise<Map<string, BlobCopy>> {
  const blobs = new Map<string, BlobCopy>();
  for await (const blob of readBlobList(folder.pathOf(id, BLOBS_PART), manifest.blobs.count)) blobs.set(blob.key, blob);
  if (blobs.size !== manifest.blobs.count) throw new AppError('backup-corrupt', { detail: 'The list of blobs is not complete.' });
  return blobs;
}

async function unpacked(path: string, open: (source: AsyncIterable<Uint8Array>) => AsyncGenerator<Uint8Array>, take: (archive: AsyncIterable<Uint8Array>) => Promise<void>): Promise<void> {
  try {
    await pipeline(createReadStream(path), open, createGunzip(), take);
  } catch (error) {
    if (error instanceof Error && 'code' in error && String(error.code).startsWith('Z_')) throw new AppError('backup-corrupt', { detail: 'The archive of the tables is damaged.', cause: error });
    throw error;
  }
}
