import { mkdir } from 'node:fs/promises';
import type { Config } from '../config.js';
import type { Logger } from '../ops/logger.js';
import { poolOptions } from './connection.js';
import { openEmbeddedPostgres } from './embedded-postgres.js';
import { applyMigrations } from './migrations.js';

export interface OpenedDatabase {
  url: string;
  embedded: boolean;
  close(): Promise<void>;
}

/** The database of the configuration: the given one, or the embedded server under `DATA_DIR`. Migrations are applied. */
export async function openDatabase(config: Config, logger: Logger, report: (step: string) => void = () => undefined): Promise<OpenedDatabase> {
  const log = (level: 'info' | 'warn' | 'error', message: string, fields: object = {}): void => { logger[level](fields, message); };
  let opened: OpenedDatabase;
  if (config.DATABASE_URL === undefined) {
    await mkdir(config.dataDir, { recursive: true });
    const embedded = await openEmbeddedPostgres({ dataDir: config.dataDir, log });
    opened = { url: embedded.url, embedded: true, close: () => embedded.close() };
    report('PostgreSQL (embedded)');
  } else {
    opened = { url: config.DATABASE_URL, embedded: false, close: () => Promise.resolve() };
  }
  try {
    const { ssl } = poolOptions(opened.url, config);
    await applyMigrations(opened.url, { log, ...(typeof ssl === 'object' && { ssl }) });
    report('database migrated');
  } catch (error) {
    await opened.close();
    throw error;
  }
  return opened;
}
