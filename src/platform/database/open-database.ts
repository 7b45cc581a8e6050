import { mkdir } from 'node:fs/promises';
import pg from 'pg';
import { AppError } from '../../kernel/errors.js';
import type { Config } from '../config.js';
import { MasterKey } from '../crypto/master-key.js';
import type { Logger } from '../ops/logger.js';
import { prepareQueueSchema } from '../queue/queue-schema.js';
import { tlsOf, type DatabaseUrls } from './connection.js';
import { openEmbeddedPostgres } from './embedded-postgres.js';
import { admit, type AdmissionOptions } from './logins.js';
import { applyMigrations, type MigrationOutcome } from './migrations.js';
import { raiseWall } from './wall.js';

export interface OpenedDatabase extends DatabaseUrls {
  /** Of the role that owns the tables: nothing that serves requests or runs jobs connects with it. */
  readonly url: string;
  readonly embedded: boolean;
  readonly migrations: MigrationOutcome;
  close(): Promise<void>;
}

/** What happens to the database under its owner's login before it is migrated. */
export type BeforeMigrations = (ownerUrl: string, ssl: AdmissionOptions['ssl']) => Promise<void>;

/**
 * The database of the configuration: the given one, or the embedded server under `DATA_DIR`. Migrations are applied, the wall between
 * institutions stands, and the processes have logins that it binds.
 *
 * @throws AppError `configuration-invalid`, `database-unavailable`, `storage-full`
 */
export async function openDatabase(config: Config, logger: Logger, report: (step: string) => void = () => undefined, before: BeforeMigrations = () => Promise.resolve()): Promise<OpenedDatabase> {
  const log = (level: 'info' | 'warn' | 'error', message: string, fields: object = {}): void => { logger[level](fields, message); };
  let close = (): Promise<void> => Promise.resolve();
  let processUrl = config.DATABASE_URL;
  if (processUrl === undefined) {
    await mkdir(config.dataDir, { recursive: true });
    const embedded = await openEmbeddedPostgres({ dataDir: config.dataDir, log });
    processUrl = embedded.url;
    close = () => embedded.close();
    report('PostgreSQL (embedded)');
  }
  try {
    const ownerUrl = config.DATABASE_MIGRATION_URL ?? processUrl;
    const ssl = tlsOf(config);
    const tls = ssl === undefined ? {} : { ssl };
    let urls: DatabaseUrls = { appUrl: processUrl, systemUrl: processUrl };
    const options: AdmissionOptions = { ownerUrl, processUrl, masterKey: new MasterKey(config), log, ...tls };
    await before(ownerUrl, ssl);
    const migrations = await applyMigrations(ownerUrl, { log, ...tls, afterwards: async (client) => { urls = await wallIn(client, options, config); } });
    report('database migrated');
    return { url: ownerUrl, appUrl: urls.appUrl, systemUrl: urls.systemUrl, embedded: config.DATABASE_URL === undefined, migrations, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** @throws AppError `configuration-invalid` with what PostgreSQL says */
async function wallIn(client: pg.Client, options: AdmissionOptions, config: Config): Promise<DatabaseUrls> {
  try {
    const admission = await admit(client, options);
    if (!admission.isGuest) {
      // Under the owner: the processes may make no tables.
      if (config.QUEUE_BACKEND === 'postgres') await prepareQueueSchema(client);
      await raiseWall(client, admission, options.log);
    }
    return admission;
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) throw error;
    throw new AppError('configuration-invalid', { detail: `The roles of the database cannot be set up: ${error.message}`, cause: error });
  }
}
