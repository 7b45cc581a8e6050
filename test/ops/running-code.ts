import type { Command } from 'commander';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { JOB_STATES } from '../../src/platform/queue/queue-view.js';
import { QUEUES } from '../../src/roles/queues.js';
import { ROOT } from '../support/product.js';

/** Read by Node itself. */
const OF_NODE = ['NODE_EXTRA_CA_CERTS'];

/** What the product answers to, as its sources have it. */
export interface RunningCode {
  /** Variables of the configuration. */
  settings: ReadonlySet<string>;
  /** Those, their files, and what the command line and Node read. */
  variables: ReadonlySet<string>;
  /** Routes of probes, and where metrics are. */
  paths: ReadonlySet<string>;
  /** Names of metrics that have labels, and these. */
  metrics: ReadonlyMap<string, readonly string[]>;
  queues: ReadonlySet<string>;
  jobStates: ReadonlySet<string>;
  /** Commands by name. */
  commands: ReadonlyMap<string, Command>;
  /** How long a worker takes to hand back what runs. */
  drainSeconds: number;
  /** And a server, to answer what has begun. */
  graceSeconds: number;
  /** Folder of events that wait for the database, under DATA_DIR. */
  auditQueue: string;
}

export async function runningCode(): Promise<RunningCode> {
  const source = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
  const files = (readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })).filter((name) => name.endsWith('.ts') && !name.endsWith('.spec.ts') && !name.startsWith('generated'));
  const text = files.map((name) => source(join('src', name))).join('\n');
  const [, schema = ''] = /const environment = z\.object\(\{\n([\s\S]*?)\n\}\);/.exec(source('src/platform/config.ts')) ?? [];
  // Groups of variables that are written elsewhere.
  const groups = [...schema.matchAll(/^ {2}\.\.\.(\w+),$/gm)].map(([, group = '']) => new RegExp(`export const ${group} = \\{\\n([\\s\\S]*?)\\n\\};`).exec(text)?.[1] ?? '');
  const settings = new Set([schema, ...groups].flatMap((block) => [...block.matchAll(/^ {2}([A-Z][A-Z0-9_]*):/gm)].map(([, name = '']) => name)));
  const [, secrets = ''] = /SECRET_VARIABLES = \[([^\]]*)\]/.exec(text) ?? [];
  return {
    settings,
    variables: new Set([...settings, ...[...secrets.matchAll(/'([A-Z0-9_]+)'/g)].map(([, name = '']) => `${name}_FILE`), ...OF_NODE, ...[...text.matchAll(/\.env\('([A-Z_]+)'\)|process\.env\.([A-Z_]+)/g)].map(([, option, read]) => option ?? read ?? '')]),
    paths: new Set([...[...source('src/platform/ops/health.controller.ts').matchAll(/@Get\('([a-z]+)'\)/g)].map(([, path = '']) => `/${path}`), ...[...source('src/platform/ops/metrics-server.ts').matchAll(/'(\/metrics)'/g)].map(([, path = '']) => path)]),
    metrics: metricsOf(text),
    queues: new Set(QUEUES),
    jobStates: new Set(JOB_STATES),
    commands: await commandsOf(source('src/cli/healthvision.ts')),
    drainSeconds: Number((/const GRACE_MS = ([\d_]+);/.exec(source('src/platform/queue/consumers.ts'))?.[1] ?? 'NaN').replaceAll('_', '')) / 1000,
    graceSeconds: Number(/SHUTDOWN_GRACE_SECONDS:.*\.default\((\d+)\)/.exec(schema)?.[1] ?? 0),
    auditQueue: /const CONTEXT = '([a-z-]+)';/.exec(source('src/platform/audit/audit-backlog.ts'))?.[1] ?? '',
  };
}

/** Those that name their labels. */
function metricsOf(text: string): Map<string, readonly string[]> {
  const definitions = text.matchAll(/name: '(healthvision_[a-z0-9_]+)'(?:(?!name: ').)*?labelNames: \[([^\]]*)\]/gs);
  return new Map([...definitions].map(([, name = '', labels = '']) => [name, [...labels.matchAll(/'(\w+)'/g)].map(([, label = '']) => label)]));
}

/** Those that the program has, with their own parsers. */
async function commandsOf(program: string): Promise<Map<string, Command>> {
  const commands = new Map<string, Command>();
  for (const [, name = '', file = ''] of program.matchAll(/import \{ (\w+Command) \} from '(\.\/commands\/[\w-]+)\.js'/g)) {
    if (!new RegExp(`for \\(const make of \\[[^\\]]*\\b${name}\\b`).test(program)) continue;
    const path = join(ROOT, 'src/cli', `${file}.ts`);
    if (!existsSync(path)) throw new Error(`${path} is missing`);
    const loaded = (await import(pathToFileURL(path).href)) as Record<string, (() => Command) | undefined>;
    const command = loaded[name]?.();
    if (command) commands.set(command.name(), command);
  }
  return commands;
}

/** What the command line says against these arguments; undefined when it takes them. Nothing is done. */
export function refusalOf(commands: RunningCode['commands'], args: readonly string[]): string | undefined {
  const [name = '', ...rest] = args;
  const command = commands.get(name);
  if (!command) return `there is no command "${name}"`;
  try {
    silenced(command).parse(rest, { from: 'user' });
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** A command that only reads its arguments, with the option that the program gives to all. */
function silenced(command: Command): Command {
  command.exitOverride().configureOutput({ writeErr: () => undefined, writeOut: () => undefined });
  for (const child of command.commands) silenced(child);
  if (!command.options.some(({ long }) => long === '--json') && command.commands.length === 0) command.option('--json');
  return command.action(() => undefined);
}
