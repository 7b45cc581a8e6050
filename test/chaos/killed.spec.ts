import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually, startProduct, temporaryDirectory, type Product } from '../support/product.js';
import { ended, requestAnalysis, uploadXray, type AnalysisView } from '../support/flow.js';

const running: Product[] = [];
const started = async (...options: Parameters<typeof startProduct>): Promise<Product> => {
  const product = await startProduct(...options);
  running.push(product);
  return product;
};

afterEach(async () => { for (const product of running.splice(0).reverse()) await product.stop(); });

describe('a killed process', () => {
  it('in the role of worker, in mid-run, leaves a run that ends succeeded, once', async () => {
    const dataDir = temporaryDirectory();
    const api = await started({ dataDir, env: { APP_ROLE: 'api' } });
    const worker = (): Promise<Product> => started({ dataDir, env: { APP_ROLE: 'worker', SETTLE_SECONDS: '3600' } });
    const victim = await worker();
    const studies: string[] = [];
    for (let seed = 0; seed < 12; seed++) studies.push(await uploadXray(api, seed));
    const runs = await Promise.all(studies.map((uid) => requestAnalysis(api, uid)));
    await eventually('a run in the works', async () => {
      const { items } = await api.json<{ items: AnalysisView[] }>('/api/v1/analyses?status=running');
      return items.length > 0;
    }).catch(() => undefined);
    victim.process.kill('SIGKILL');
    await once(victim.process, 'exit');
    await worker();
    const views = await Promise.all(runs.map(({ id }) => ended(api, id, 120_000)));
    expect(views.map(({ status }) => status)).toEqual(views.map(() => 'succeeded'));
    for (const [index, uid] of studies.entries()) {
      const { items } = await api.json<{ items: { id: string }[] }>(`/api/v1/results?studyInstanceUid=${uid}`);
      expect(items.map(({ id }) => id)).toEqual([views[index]?.resultId]);
    }
  });

  it('of PostgreSQL is replaced, while the product answers with a code and then goes on', async () => {
    const product = await started({ env: { SETTLE_SECONDS: '3600' } });
    const study = await uploadXray(product, 1);
    const pid = postmasterOf(product.dataDir);
    process.kill(pid, 'SIGKILL');
    const during = await product.fetch('/api/v1/studies');
    if (during.status !== 200) {
      // What was read before the kill, but could not be put on record after it, is refused for the record's sake.
      expect(during.status).toBe(503);
      expect(['database-unavailable', 'audit-unavailable']).toContain(((await during.json()) as { code: string }).code);
    }
    await eventually('the database', async () => (await product.fetch('/ready')).status === 200, 30_000);
    expect(postmasterOf(product.dataDir)).not.toBe(pid);
    const run = await requestAnalysis(product, study);
    expect((await ended(product, run.id)).status).toBe('succeeded');
  });

  it('of everything at once comes back with what it had acknowledged', async () => {
    const dataDir = temporaryDirectory();
    const first = await started({ dataDir, env: { SETTLE_SECONDS: '3600' } });
    const study = await uploadXray(first, 7);
    const run = await requestAnalysis(first, study);
    process.kill(postmasterOf(dataDir), 'SIGKILL');
    first.process.kill('SIGKILL');
    await once(first.process, 'exit');
    const second = await started({ dataDir });
    expect((await second.fetch(`/api/v1/studies/${study}`)).status).toBe(200);
    expect((await ended(second, run.id, 120_000)).status).toBe('succeeded');
  });
});

describe('a clean stop', () => {
  it('takes the embedded server down with the last process, and only then', async () => {
    const dataDir = temporaryDirectory();
    const api = await started({ dataDir, env: { APP_ROLE: 'api' } });
    const worker = await started({ dataDir, env: { APP_ROLE: 'worker' } });
    const pid = postmasterOf(dataDir);
    expect(await api.stop()).toBe(0);
    expect(lives(pid)).toBe(true);
    expect(await worker.stop()).toBe(0);
    expect(lives(pid)).toBe(false);
  });
});

/** The pid of the embedded server that keeps its cluster for this data directory. */
function postmasterOf(dataDir: string): number {
  const state = JSON.parse(readFileSync(join(dataDir, 'postgres.json'), 'utf8')) as Record<string, unknown>;
  const folder = Object.values(state).find((value): value is string => typeof value === 'string' && value.startsWith('/'));
  const path = folder ?? join(dataDir, 'postgres');
  return Number(execFileSync('head', ['-n', '1', join(path, 'postmaster.pid')], { encoding: 'utf8' }));
}

/** A process that ended but that nobody reaped yet is gone, too. */
function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${String(pid)}/status`, 'utf8'));
  } catch {
    return false;
  }
}
