import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { Command, InvalidArgumentError, Option } from 'commander';
import { CommandError } from '../failure.js';
import type { StepRow } from '../selftest/checklist.js';
import type { CredentialOptions } from '../selftest/credentials.js';
import { paint, table, writeJson, writeLine } from '../terminal.js';

interface Options extends CredentialOptions {
  url?: string;
  publicUrl?: string;
  caFile?: string;
  timeout: number;
  analyses?: readonly string[];
  webhookListen?: string;
  keep?: boolean;
  json?: boolean;
}

const DEFAULT_URL = 'http://localhost:8080';
const DEFAULT_TIMEOUT_S = 300;
const MARKS = { passed: ['green', '✓'], failed: ['red', '✗'], skipped: ['yellow', '–'] } as const;

/** `healthvision selftest`: whether a running installation does all that it is for, tried with phantoms that are removed again. */
export function selftestCommand(): Command {
  return new Command('selftest')
    .description('try a running installation from upload to result with digital phantoms, over HTTP alone, and remove them again')
    .addOption(new Option('--url <url>', `the installation (default: PUBLIC_URL, else ${DEFAULT_URL})`).env('HEALTHVISION_URL'))
    .addOption(new Option('--public-url <url>').env('PUBLIC_URL').hideHelp())
    .addOption(new Option('--api-key <key>', 'API key').env('HEALTHVISION_API_KEY'))
    .addOption(new Option('--token <jwt>', 'access token').env('HEALTHVISION_TOKEN'))
    .addOption(new Option('--client-id <id>', 'client credentials').env('HEALTHVISION_CLIENT_ID'))
    .addOption(new Option('--client-secret <secret>', 'of the client').env('HEALTHVISION_CLIENT_SECRET'))
    .addOption(new Option('--user <email>', 'person who signs in').env('HEALTHVISION_USER'))
    .addOption(new Option('--password <password>', 'of the person').env('HEALTHVISION_PASSWORD'))
    .option('--otp <code>', 'second factor of the person')
    .option('--ca-file <file>', 'certificate authority of the installation, PEM, beside the public ones')
    .option('--timeout <seconds>', 'how long to wait for each thing', seconds, DEFAULT_TIMEOUT_S)
    .option('--analyses <names>', 'only these analyses or models, separated by commas', names)
    .option('--webhook-listen <host:port>', 'where the installation reaches this machine, to try webhooks (default: this machine as seen from here)')
    .option('--keep', 'leave the phantoms where they are')
    .addHelpText('after', [
      '', 'The key needs the scopes images:read, images:write, images:delete, analyses:create, analyses:read, models:read, results:read, webhooks:read, webhooks:write', 'and audit:read, best in an institution of its own. Exit status 0 only when nothing failed. See docs/operations/selftest.md.',
    ].join('\n'))
    .action(selftest);
}

async function selftest(options: Options): Promise<void> {
  const [{ Caller }, { Checklist }, { Leavings }, { PATIENT_PREFIX }, { runSteps }, { parseListen }] = await Promise.all([
    import('../selftest/caller.js'), import('../selftest/checklist.js'), import('../selftest/leavings.js'), import('../selftest/phantoms.js'), import('../selftest/run.js'), import('../selftest/webhook-listener.js'),
  ]);
  const url = urlOf(options.url ?? options.publicUrl ?? DEFAULT_URL);
  if (options.webhookListen !== undefined) parseListen(options.webhookListen);
  const ca = options.caFile === undefined ? undefined : await readFile(options.caFile, 'utf8');
  const id = randomBytes(6).toString('hex');
  const timeoutMs = options.timeout * 1000;
  const interrupted = new AbortController();
  const checklist = new Checklist(interrupted.signal, options.json ? () => undefined : tellStep);
  const leavings = new Leavings(`${PATIENT_PREFIX}${id}`, `HealthVision self-test ${id}`);
  const caller = new Caller(url, `selftest-${id}`, timeoutMs, ca);
  const onSignal = (): void => {
    if (interrupted.signal.aborted) {
      process.stderr.write(`Left behind: ${leavings.names.join(', ') || 'nothing'}\n`);
      process.exit(1);
    }
    interrupted.abort();
    process.stderr.write('Interrupted: cleaning up. Once more ends it at once.\n');
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, onSignal);
  const started = performance.now();
  // What is made here is removed whatever happens.
  const cleanUp = new Checklist(new AbortController().signal, options.json ? () => undefined : tellStep);
  try {
    await runSteps({
      caller, checklist, leavings, wait: (ms) => pause(ms, undefined, { signal: interrupted.signal }),
      options: { ...options, analyses: options.analyses, webhookListen: options.webhookListen, keep: options.keep === true, timeoutMs },
    });
  } finally {
    if (!leavings.isEmpty) {
      if (options.keep) leavings.keepStudies();
      await cleanUp.step('clean-up', [], async () => ({ detail: await leavings.remove(caller) }));
    }
    await caller.close();
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, onSignal);
  }
  const rows = [...checklist.rows, ...cleanUp.rows];
  const passed = rows.every(({ status }) => status !== 'failed') && !interrupted.signal.aborted;
  const total = Math.round(performance.now() - started) / 1000;
  if (options.json) writeJson({ url, passed, interrupted: interrupted.signal.aborted, seconds: total, patientId: leavings.patientId, steps: rows });
  else writeRows(rows, passed, total);
  if (!passed) process.exitCode = 1;
}

/** As each step ends, on standard error; the table follows on standard output. */
function tellStep({ step, status, seconds: took, detail }: StepRow): void {
  const [style, mark] = MARKS[status];
  process.stderr.write(`${paint(style, mark, process.stderr)} ${step.padEnd(40)} ${`${took.toFixed(1)} s`.padStart(7)}${status === 'passed' ? '' : `  ${detail}`}\n`);
}

function writeRows(rows: readonly StepRow[], passed: boolean, total: number): void {
  writeLine(table(rows, [
    { title: 'Step', value: ({ step }) => step },
    { title: 'Result', value: ({ status }) => status, style: ({ status }) => MARKS[status][0] },
    { title: 'Time', value: ({ seconds: took }) => `${took.toFixed(1)} s`, align: 'right' },
    { title: 'What was seen', value: ({ detail }) => detail },
  ]));
  for (const { step, advice } of rows) if (advice !== null) writeLine(`${paint('red', step)}: ${advice}`);
  const count = (wanted: StepRow['status']): number => rows.filter(({ status }) => status === wanted).length;
  writeLine(paint(passed ? 'green' : 'red', `${String(count('passed'))} passed, ${String(count('failed'))} failed, ${String(count('skipped'))} skipped in ${total.toFixed(1)} s`));
}

function urlOf(text: string): string {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) throw new CommandError('usage', `${text} is not a URL that begins with http:// or https://`);
  return text.replace(/\/+$/, '');
}

function seconds(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0 || value > 86_400) throw new InvalidArgumentError('must be a number of seconds.');
  return value;
}

function names(text: string): string[] {
  return text.split(',').map((name) => name.trim()).filter((name) => name !== '');
}
