import 'reflect-metadata';
import { Command, CommanderError } from 'commander';
import { parseConfig } from '../platform/config.js';
import { VERSION } from '../platform/version.js';
import { adminCommand } from './commands/admin.js';
import { analyzeCommand } from './commands/analyze.js';
import { auditCommand } from './commands/audit.js';
import { backupCommand } from './commands/backup.js';
import { demoCommand } from './commands/demo.js';
import { evaluateCommand } from './commands/evaluate.js';
import { ingestCommand } from './commands/ingest.js';
import { keysCommand } from './commands/keys.js';
import { migrateCommand } from './commands/migrate.js';
import { modelsCommand } from './commands/models.js';
import { openapiCommand } from './commands/openapi.js';
import { provenanceCommand } from './commands/provenance.js';
import { restoreCommand } from './commands/restore.js';
import { selftestCommand } from './commands/selftest.js';
import { startCommand } from './commands/start.js';
import { failureLines } from './failure.js';

/** The `healthvision` command. Exit status 0 or 1; errors are one line each on standard error. */
async function main(): Promise<void> {
  const program = new Command('healthvision')
    .description('Medical-imaging AI backend. Not for primary diagnosis.')
    .version(VERSION)
    // A command and its parent may have options of the same name.
    .enablePositionalOptions()
    .showSuggestionAfterError(true)
    .addHelpText('after', '\nEvery command has --help and --json. Settings come from the environment; see README.md.');
  for (const make of [startCommand, demoCommand, migrateCommand, adminCommand, auditCommand, backupCommand, restoreCommand, keysCommand, modelsCommand, ingestCommand, analyzeCommand, evaluateCommand, provenanceCommand, selftestCommand, openapiCommand]) program.addCommand(make());
  prepare(program);
  try {
    await program.parseAsync();
  } catch (error) {
    if (error instanceof CommanderError) {
      // Help that was asked for is no failure; what was wrong has been written.
      process.exitCode = error.exitCode === 0 ? 0 : 1;
      return;
    }
    for (const line of failureLines(error, isDebugging())) process.stderr.write(`${line}\n`);
    // Whatever is half open must not keep the process.
    process.exit(1);
  }
}

/** Errors in one line with a hint, exit status 1, and `--json` everywhere. */
function prepare(command: Command): void {
  command.exitOverride().showHelpAfterError(false).showSuggestionAfterError(true).configureOutput({
    outputError: (text, write) => {
      const line = text.trim().replaceAll(/\s*\n\s*/g, ' ').replace(/^error: /, '').replace(/\.$/, '');
      write(`error: usage: ${line} – see ${pathOf(command)} --help\n`);
    },
  });
  for (const child of command.commands) prepare(child);
  if (command.commands.length === 0 && !command.options.some(({ long }) => long === '--json')) command.option('--json', 'answer in JSON on standard output');
}

function pathOf(command: Command): string {
  return command.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name();
}

function isDebugging(): boolean {
  try {
    return ['debug', 'trace'].includes(parseConfig().LOG_LEVEL);
  } catch {
    return false;
  }
}

await main();
