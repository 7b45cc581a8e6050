import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { NPM_START } from '../../support/npm-start.mjs';
import { ROOT, temporaryDirectory } from '../../support/product.js';

/** What the product says on standard error before it gives up, and its exit status. */
async function refusal(variables: Record<string, string>): Promise<{ code: number | null; lines: string[] }> {
  const dataDir = temporaryDirectory();
  const child = spawn(process.execPath, NPM_START.argv, {
    cwd: ROOT, stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...NPM_START.env, PATH: process.env.PATH, HOME: process.env.HOME, NODE_ENV: 'production', PORT: '0', HOST: '127.0.0.1', DATA_DIR: dataDir, LOG_LEVEL: 'silent', ...variables },
  });
  const [said] = await Promise.all([text(child.stderr), once(child, 'exit')]);
  rmSync(dataDir, { recursive: true, force: true });
  return { code: child.exitCode, lines: said.trim().split('\n') };
}

describe('a start in production', () => {
  it('is refused with a line for every secret that is missing or weak', async () => {
    const { code, lines } = await refusal({ BOOTSTRAP_ADMIN_PASSWORD: 'changeme', DATABASE_URL: 'postgresql://postgres:postgres@127.0.0.1:1/hv', QUEUE_BACKEND: 'redis', REDIS_URL: 'redis://127.0.0.1:1' });
    expect(code).toBe(1);
    expect(lines).toEqual([
      'healthvision: MASTER_KEY: is required when NODE_ENV=production (openssl rand -base64 32)',
      'healthvision: BOOTSTRAP_ADMIN_PASSWORD: must have at least 12 characters in production',
      'healthvision: DATABASE_URL: its password is one that anybody would try first',
      'healthvision: REDIS_URL: has no password',
    ]);
  });

  it('is refused when the first administrator’s password is long and famous', async () => {
    const { code, lines } = await refusal({ MASTER_KEY: randomBytes(32).toString('base64'), BOOTSTRAP_ADMIN_PASSWORD: 'correct horse battery staple' });
    expect(code).toBe(1);
    expect(lines).toEqual(['healthvision: configuration-invalid: BOOTSTRAP_ADMIN_PASSWORD: It is on the list of passwords that were seen in breaches or are tried first.']);
  });
});
