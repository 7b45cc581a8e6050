#!/usr/bin/env node
// `npm run chaos`: an installation of two api and two workers with everything it stands on, to which everything happens.
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const { values } = parseArgs({ options: { minutes: { type: 'string' }, studies: { type: 'string' }, seed: { type: 'string' }, queue: { type: 'string' }, hold: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } } });
if (values.help) {
  process.stdout.write('usage: npm run chaos -- [--minutes N] [--studies N] [--seed N] [--queue postgres|redis] [--hold]\n  default: 2 minutes, shared by both queues; 20 studies a minute, 500 at most; reports in test-results/chaos\n  --hold: when something is wrong in the end, everything keeps running to be looked at\n');
  process.exit(0);
}
if (values.hold) process.env.CHAOS_HOLD = '1';
const settings = { CHAOS_MINUTES: values.minutes, CHAOS_STUDIES: values.studies, CHAOS_SEED: values.seed, CHAOS_KIND: values.queue };
for (const [name, value] of Object.entries(settings)) {
  const isRight = value === undefined || (name === 'CHAOS_KIND' ? ['postgres', 'redis'].includes(value) : Number(value) > 0);
  if (isRight) continue;
  process.stderr.write(`${name.toLowerCase().replace('chaos_', '--').replace('kind', 'queue')}: cannot be ${value}\n`);
  process.exit(1);
}
const { status } = spawnSync(process.execPath, [join(root, 'node_modules', 'vitest', 'vitest.mjs'), 'run', '--project', 'chaos', 'test/chaos/chaos.spec.ts'], {
  cwd: root, stdio: 'inherit', env: { ...process.env, NODE_ENV: 'test', ...Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined)) },
});
process.exit(status ?? 1);
