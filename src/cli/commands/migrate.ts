import { Command } from 'commander';
import { mkdir } from 'node:fs/promises';
import { parseConfig } from '../../platform/config.js';
import { writeJson, writeLine } from '../terminal.js';

/** `healthvision migrate`: brings the database of DATABASE_URL, or the embedded one, to the newest schema. */
export function migrateCommand(): Command {
  return new Command('migrate')
    .description('bring the database (DATABASE_URL, else the embedded one of DATA_DIR) to the newest schema')
    .action(async ({ json }: { json?: boolean }) => {
      const [{ applyMigrations }, { openEmbeddedPostgres }, { createLogger }] = await Promise.all([
        import('../../platform/database/migrations.js'), import('../../platform/database/embedded-postgres.js'), import('../../platform/ops/logger.js'),
      ]);
      const config = parseConfig();
      const logger = createLogger(config.LOG_LEVEL === 'info' ? 'warn' : config.LOG_LEVEL, {}, 2);
      const log = (level: 'info' | 'warn' | 'error', message: string, fields: object = {}): void => { logger[level](fields, message); };
      let close: (() => Promise<void>) | undefined;
      let url = config.DATABASE_URL;
      if (url === undefined) {
        await mkdir(config.dataDir, { recursive: true });
        const embedded = await openEmbeddedPostgres({ dataDir: config.dataDir, log });
        url = embedded.url;
        close = () => embedded.close();
      }
      try {
        const { applied, alreadyApplied } = await applyMigrations(url, { log });
        if (json) writeJson({ applied, alreadyApplied });
        else if (applied.length === 0) writeLine(`Nothing to do: ${String(alreadyApplied)} migrations were applied before.`);
        else writeLine(`Applied ${applied.join(', ')}; ${String(alreadyApplied)} were there before.`);
      } finally {
        await close?.();
      }
    });
}
