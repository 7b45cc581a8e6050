import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { uuidv7 } from '../../../src/kernel/uid.js';
import { BackupFolder, type KnownBackup } from '../../../src/platform/backup/backup-folder.js';
import { assertRestorable, restoreBackup } from '../../../src/platform/backup/restore-backup.js';
import { takeBackup, type BackupOutcome, type BackupRequest } from '../../../src/platform/backup/take-backup.js';
import { verifyBackup, type BackupVerification, type VerifyRequest } from '../../../src/platform/backup/verify-backup.js';
import { connectAsOwner, inTransaction } from '../../../src/platform/backup/tables.js';
import { parseConfig, type Config } from '../../../src/platform/config.js';
import { MasterKey } from '../../../src/platform/crypto/master-key.js';
import { openEmbeddedPostgres } from '../../../src/platform/database/embedded-postgres.js';
import { openDatabase, type OpenedDatabase } from '../../../src/platform/database/open-database.js';
import { createLogger } from '../../../src/platform/ops/logger.js';
import { DiskObjectStore } from '../../../src/platform/storage/disk-object-store.js';
import type { ObjectStore } from '../../../src/platform/storage/object-store.js';
import { temporaryDirectory } from '../../support/product.js';
import { query } from '../database/processes.js';
import { PretendedDisk } from '../storage/object-store.contract.js';

/** A database whose owner row-level security binds, a store, and what works on both. */
export interface Installation {
  config: Config;
  /** URL of the owner. */
  url: string;
  store: ObjectStore;
  disk: PretendedDisk;
  /** Migrates it and puts the wall up. */
  open(): Promise<OpenedDatabase>;
  /** As the owner, in the scope of the system. */
  rows(sql: string, values?: unknown[]): Promise<Record<string, unknown>[]>;
}

export interface BackupHouse {
  masterKey: MasterKey;
  /** Empty: no rows, no objects; with the tables and the wall, or without tables. */
  newInstallation(tables?: 'tables' | 'no tables'): Promise<Installation>;
  newFolder(): BackupFolder;
  backup(from: Installation, folder: BackupFolder, more?: Partial<BackupRequest>): Promise<BackupOutcome>;
  verify(folder: BackupFolder, more?: Partial<VerifyRequest>): Promise<BackupVerification>;
  restore(to: Installation, folder: BackupFolder, more?: { backup?: KnownBackup; masterKeys?: MasterKey[]; store?: ObjectStore }): Promise<void>;
  close(): Promise<void>;
}

const quiet = (): undefined => undefined;

/** One PostgreSQL for all installations of a spec. */
export async function openBackupHouse(): Promise<BackupHouse> {
  const directory = temporaryDirectory();
  const postgres = await openEmbeddedPostgres({ dataDir: directory, log: quiet });
  await query(postgres.url, `CREATE ROLE hospital LOGIN PASSWORD 'secret'`);
  const key = randomBytes(32).toString('base64');
  const masterKey = new MasterKey(parseConfig({ MASTER_KEY: key, DATA_DIR: directory }));
  const opening = { masterKeys: [masterKey] };
  const owners: Owner[] = [];
  let count = 0;
  const urlOf = (name: string): string => postgres.url.replace(/\/\/[^@]+@/, '//hospital:secret@').replace(/\/healthvision$/, `/${name}`);
  const configOf = (name: string): Config => parseConfig({ DATA_DIR: join(directory, name), DATABASE_URL: urlOf(name), MASTER_KEY: key });
  // Migrated once, and copied: the engine takes its time.
  await query(postgres.url, 'CREATE DATABASE pattern OWNER hospital');
  await (await openDatabase(configOf('pattern'), createLogger('silent'))).close();
  const newDatabase = async (pattern = 'template1'): Promise<string> => {
    const name = `installation_${String(++count)}`;
    await query(postgres.url, `CREATE DATABASE ${name} OWNER hospital TEMPLATE ${pattern}`);
    return name;
  };
  return {
    masterKey,
    async newInstallation(tables = 'tables') {
      const name = await newDatabase(tables === 'tables' ? 'pattern' : undefined);
      const [url, config] = [urlOf(name), configOf(name)];
      const disk = new PretendedDisk();
      const owner = new Owner(url);
      owners.push(owner);
      const store = new DiskObjectStore(join(directory, `${name}-blobs`), disk.guard(directory));
      await store.prepare();
      return { config, url, store, disk, open: () => openDatabase(config, createLogger('silent')), rows: (sql, values) => owner.rows(sql, values) };
    },
    newFolder: () => new BackupFolder(join(directory, `backups-${String(++count)}`)),
    backup: ({ config, url, store }, folder, more) => takeBackup({ config, folder, sealing: { masterKey }, keepDays: 30, ownerUrl: url, ssl: undefined, store, masterKey, report: quiet, ...more }),
    verify: async (folder, more) => verifyBackup({ folder, backup: await folder.find(), opening, masterKeys: [masterKey], report: quiet, inScratch: async (work) => { await work(urlOf(await newDatabase('pattern'))); }, ...more }),
    restore: async ({ url, store }, folder, more = {}) => {
      const request = { folder, backup: more.backup ?? (await folder.find()), opening, masterKeys: more.masterKeys ?? [masterKey], report: quiet };
      await assertRestorable(request);
      await restoreBackup(request, more.store ?? store, { url, ssl: undefined });
    },
    close: async () => {
      for (const owner of owners) await owner.close();
      await postgres.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** One connection, made at the first use. */
class Owner {
  private client: Promise<pg.Client> | undefined;

  constructor(private readonly url: string) {}

  async rows(sql: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
    this.client ??= connectAsOwner(this.url, undefined);
    const client = await this.client;
    return inTransaction(client, 'write', async () => (await client.query<Record<string, unknown>>(sql, values)).rows);
  }

  async close(): Promise<void> {
    await (await this.client)?.end();
  }
}

/** Rows with what COPY has to get right: keys between tables, bytes, JSON, arrays, line ends, tabs, nothing, letters of everywhere. */
export async function furnish({ rows }: Pick<Installation, 'rows'>, people = 40): Promise<{ institutions: string[] }> {
  const institutions = [uuidv7(), uuidv7()];
  for (const [index, id] of institutions.entries()) {
    await rows('INSERT INTO institutions (id, name) VALUES ($1, $2)', [id, `Klinik ${String(index)}\t"Nord"\n医院 \\. \\N 🫁`]);
    for (let i = 0; i < people / 2; i++) {
      await rows('INSERT INTO users (id, institution_id, email, display_name, role, updated_at, sealed_totp_secret, totp_last_step) VALUES ($1, $2, $3, $4, $5, now(), $6, $7)',
        [uuidv7(), id, `p${String(index)}-${String(i)}@hospital.test`, i % 2 === 0 ? '' : 'Ünï\\cöde', 'radiologist', i % 3 === 0 ? null : randomBytes(40), i % 4 === 0 ? null : '9007199254740993']);
    }
    await rows(`INSERT INTO outbox (id, institution_id, topic, payload, dispatched_at) VALUES ($1, $2, 'study.completed', '{"a":["\\\\n", null, 1.50]}', now())`, [uuidv7(), id]);
    await rows(`INSERT INTO audit_events (id, institution_id, at, actor_kind, action, outcome, study_instance_uids, mac) VALUES ($1, $2, now(), 'job', 'test', 'succeeded', '{1.2,"a,b"}', '\\x00ff')`, [uuidv7(), id]);
  }
  return { institutions };
}

/** A row that names a blob. */
export async function nameBlob({ rows }: Pick<Installation, 'rows'>, key: string): Promise<void> {
  await rows('INSERT INTO model_files (model_id, path, sha256, size_bytes, blob_key) VALUES ($1, $2, $3, 1, $4)', [uuidv7(), 'model.onnx', 'x', key]);
}
