import { Option, type Command } from 'commander';

/** Options of commands that work on a running installation only when one is named. */
export function withOptionalConnection(command: Command): Command {
  return command
    .addOption(new Option('--url <url>', 'a running installation').env('HEALTHVISION_URL'))
    .addOption(new Option('--token <jwt>', 'access token').env('HEALTHVISION_TOKEN'))
    .addOption(new Option('--api-key <key>', 'API key').env('HEALTHVISION_API_KEY'));
}
