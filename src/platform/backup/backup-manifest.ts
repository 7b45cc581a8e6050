import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { AppError } from '../../kernel/errors.js';
import type { MasterKey } from '../crypto/master-key.js';

/** Raised when older versions could no longer read what this one writes. */
const FORMAT = 1;
/** `20261129T193000123Z-1a2b3c`: sorts by time, to the millisecond. */
export const BACKUP_ID = /^\d{8}T\d{9}Z-[0-9a-f]{6}$/;
export const SHA256 = /^[0-9a-f]{64}$/;

const sha256 = z.string().regex(SHA256);
const count = z.number().int().min(0);
const name = z.string().min(1).max(200);
const part = z.strictObject({ sizeBytes: count, sha256 });

const table = z.strictObject({ name, columns: z.array(name).min(1).max(1_600), rows: count, sizeBytes: count, digest: sha256 });

const manifestSchema = z.strictObject({
  format: z.literal(FORMAT),
  id: z.string().regex(BACKUP_ID),
  /** Of the snapshot. */
  at: z.iso.datetime(),
  finishedAt: z.iso.datetime(),
  productVersion: name,
  /** Which master key wraps the keys of what is in it. */
  masterKeyId: z.string().regex(/^[0-9a-f]{16}$/),
  /** Who opens the database part: who has MASTER_KEY, the identities of these recipients, or the passphrase. */
  sealedFor: z.union([z.enum(['installation', 'passphrase']), z.array(z.string().max(4_000)).min(1)]),
  migrations: z.array(z.strictObject({ name, checksum: sha256 })).min(1).max(10_000),
  database: part.extend({ tables: z.array(table).min(1).max(10_000) }),
  /** Apart from the rest, because they are not kept for as long: see `superseded`. */
  keys: part.extend({ tables: z.array(table).max(100) }),
  blobs: part.extend({
    count, totalBytes: count,
    /** Not in the backups before this one. */
    copied: count, copiedBytes: count,
    /** Named by rows and absent from the store already then. */
    missing: count,
  }),
  settings: z.record(z.string(), z.unknown()),
});

/** What a backup is: written last, so that a backup that has one is whole. */
export type BackupManifest = z.output<typeof manifestSchema>;
export type TableCopy = z.output<typeof table>;
export type BackupPart = z.output<typeof part>;

export const MANIFEST_FORMAT = FORMAT;

export function newBackupId(now: Date): string {
  return `${now.toISOString().replaceAll(/[-:.]/g, '')}-${randomBytes(3).toString('hex')}`;
}

/** The time in a backup's id. */
export function timeOf(id: string): Date {
  return new Date(id.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})Z.*$/, '$1-$2-$3T$4:$5:$6.$7Z'));
}

/** @throws AppError `backup-corrupt`, or `backup-incompatible` for a format of later versions */
export function parseManifest(text: string, id: string): BackupManifest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new AppError('backup-corrupt', { detail: `The manifest of ${id} is no JSON.`, cause });
  }
  const format = z.object({ format: z.number() }).safeParse(value);
  if (format.success && format.data.format > FORMAT) throw new AppError('backup-incompatible', { detail: `${id} has format ${String(format.data.format)}; this version reads up to ${String(FORMAT)}.` });
  const parsed = manifestSchema.safeParse(value);
  if (!parsed.success) throw new AppError('backup-corrupt', { detail: `The manifest of ${id} is not valid (${parsed.error.issues[0]?.path.map(String).join('.') ?? ''}).`, cause: parsed.error });
  if (parsed.data.id !== id) throw new AppError('backup-corrupt', { detail: `The manifest of ${id} belongs to another backup.` });
  return parsed.data;
}

/** Only who holds the master key makes or changes a backup unnoticed. @returns hex */
export function manifestMac(text: string, masterKey: Pick<MasterKey, 'fingerprint'>): string {
  return masterKey.fingerprint(text, 'backup-manifest').toString('hex');
}
