import { Command } from 'commander';

/** `healthvision start`: the product in the role of APP_ROLE, until SIGTERM. */
export function startCommand(): Command {
  return new Command('start')
    .description('run the product in the role of APP_ROLE (all, api or worker) until it is told to stop')
    .option('--json', 'logs are JSON lines in any case')
    .action(async () => { await import('../../main.js'); });
}
