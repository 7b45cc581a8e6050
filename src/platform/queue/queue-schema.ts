import { assertSchemaCompatibility, LATEST_SCHEMA_VERSION, runMigrations, SchemaMigrationRequiredError } from 'bullmq';
import type pg from 'pg';

/** PostgreSQL schema of BullMQ's tables. */
export const QUEUE_SCHEMA = 'bullmq';

/** Makes BullMQ's tables what this version of it wants. When they are, it costs one query. */
export async function prepareQueueSchema(client: pg.Client): Promise<void> {
  const version = await assertSchemaCompatibility(client, QUEUE_SCHEMA).catch((error: unknown) => {
    if (error instanceof SchemaMigrationRequiredError) return 0;
    throw error;
  });
  if (version < LATEST_SCHEMA_VERSION) await runMigrations(client, QUEUE_SCHEMA);
}
