import type { ClientConfig } from 'pg';
import { serveTasks } from '../threads/thread-protocol.js';
import { runMigrations } from './migration-engine.js';
import type { Migration } from './migration.js';

export interface MigrationTask {
  connection: ClientConfig;
  migrationsDir: string;
  migrations: readonly Migration[];
}

// Migrations sends these tasks; nobody else does.
serveTasks(async (task) => {
  const { connection, migrationsDir, migrations } = task as MigrationTask;
  return { result: await runMigrations(connection, migrationsDir, migrations) };
});
