import { Command } from 'commander';
import { parseConfig } from '../../platform/config.js';
import { writeJson, writeLine } from '../terminal.js';

/** `healthvision migrate`: brings the database of DATABASE_URL, or the embedded one, to the newest schema. */
export function migrateCommand(): Command {
  return new Command('migrate')
    .description('bring the database (DATABASE_MIGRATION_URL, DATABASE_URL, else the embedded one of DATA_DIR) to the newest schema, and set up its roles')
    .action(async ({ json }: { json?: boolean }) => {
      const [{ openDatabase }, { createLogger }] = await Promise.all([import('../../platform/database/open-database.js'), import('../../platform/ops/logger.js')]);
      const config = parseConfig();
      const database = await openDatabase(config, createLogger(config.LOG_LEVEL === 'info' ? 'warn' : config.LOG_LEVEL, {}, 2));
      await database.close();
      const { applied, alreadyApplied } = database.migrations;
      if (json) writeJson({ applied, alreadyApplied });
      else if (applied.length === 0) writeLine(`Nothing to do: ${String(alreadyApplied)} migrations were applied before.`);
      else writeLine(`Applied ${applied.join(', ')}; ${String(alreadyApplied)} were there before.`);
    });
}
