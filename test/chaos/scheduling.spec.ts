import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { preparedDirectory } from '../support/data-directory.js';
import { CHILD, ENDED, type UploadItem } from '../support/flow.js';
import { eventually, startProduct, type Product } from '../support/product.js';
import { grayPng, uploadForm } from '../support/xray.js';
import { modelsDirectory, PACKS, writeManifest } from '../integration/analysis/model-packs.js';

/** With HEALTHVISION_CHECKS=full two hundred runs and half a minute between kills, which takes several minutes; else a third of both. */
const SCALE = process.env.HEALTHVISION_CHECKS === 'full' ? { studies: 68, runs: 200, killEveryMs: 30_000 } : { studies: 24, runs: 70, killEveryMs: 10_000 };
const STUDIES = SCALE.studies;
const KILL_EVERY_MS = SCALE.killEveryMs;
const PASSWORD = 'a password of quite some length 7';
const UNLIMITED = { RATE_LIMIT_PRINCIPAL: '0', RATE_LIMIT_ADDRESS: '0' };

interface RunView { id: string; status: string; priority: string; createdAt: string; startedAt?: string; finishedAt?: string; resultId?: string }
type Call = <T>(path: string, init?: RequestInit) => Promise<T>;

const running: Product[] = [];
const started = async (...options: Parameters<typeof startProduct>): Promise<Product> => {
  const product = await startProduct(...options);
  running.push(product);
  return product;
};

afterEach(async () => { for (const product of running.splice(0).reverse()) await product.stop(); });

/** MODELS_DIR with a model whose runs share inferences, one whose runs never do and take seconds, and one more. */
function models(): string {
  const folder = modelsDirectory(['bright', 'slow', 'nan-dark']);
  const slow = JSON.parse(readFileSync(join(PACKS, 'slow', 'manifest.json'), 'utf8')) as object;
  writeManifest(folder, 'slow', { ...slow, resources: { batch: 1 } });
  return folder;
}

/** An administrator of an institution of their own. */
async function secondInstitution(api: Product): Promise<Call> {
  const headers = { 'content-type': 'application/json', 'x-access-reason': 'Setting up the second hospital of the test' };
  const { id } = await api.json<{ id: string }>('/api/v1/institutions', { method: 'POST', headers, body: JSON.stringify({ name: 'Small clinic' }) });
  const email = 'admin@small.test';
  await api.json('/api/v1/users', { method: 'POST', headers: { ...headers, 'x-institution-id': id }, body: JSON.stringify({ email, displayName: 'Somebody', role: 'admin', password: PASSWORD }) });
  let token: { value: string; until: number } | undefined;
  return async <T>(path: string, init: RequestInit = {}) => {
    if (!token || token.until < Date.now()) {
      const response = await fetch(`${api.url}/oauth2/token`, { method: 'POST', body: new URLSearchParams({ grant_type: 'password', username: email, password: PASSWORD }) });
      const body = (await response.json()) as { access_token: string; expires_in: number };
      token = { value: body.access_token, until: Date.now() + body.expires_in * 500 };
    }
    const merged = new Headers(init.headers);
    merged.set('authorization', `Bearer ${token.value}`);
    const response = await fetch(`${api.url}${path}`, { ...init, headers: merged });
    if (!response.ok) throw new Error(`${path}: ${String(response.status)} ${await response.text()}`);
    return (await response.json()) as T; // what the contract promises
  };
}

async function upload(call: Call, seed: number): Promise<string> {
  const { items } = await call<{ items: UploadItem[] }>('/api/v1/images', { method: 'POST', body: uploadForm([{ name: 'x.png', bytes: await grayPng(seed) }], { patientId: `C${String(seed)}`, ...CHILD }) });
  const uid = items[0]?.studyInstanceUid;
  if (uid === undefined) throw new Error('not stored');
  return uid;
}

describe('many runs on two workers, one of which is killed again and again', () => {
  it('all end, each with one result, the urgent ones first, and no institution waits for the other', { timeout: 900_000 }, async () => {
    const dataDir = await preparedDirectory();
    const env = { ...UNLIMITED, MODELS_DIR: models(), SETTLE_SECONDS: '3600' };
    const api = await started({ dataDir, env: { ...env, APP_ROLE: 'api' } });
    const worker = (): Promise<Product> => started({ dataDir, env: { ...env, APP_ROLE: 'worker' } });
    const checker = await worker();
    await eventually('the models to be checked', async () => (await api.json<{ items: { state: string }[] }>('/api/v1/models')).items.every(({ state }) => state !== 'checking'), 120_000);
    await checker.stop();

    const large: Call = (path, init) => api.json(path, init);
    const small = await secondInstitution(api);
    const requested = new Map<string, { call: Call; owner: string; model: string }>();
    const request = async (call: Call, owner: string, studyInstanceUid: string, model: string, priority: string): Promise<void> => {
      const { id } = await call<RunView>('/api/v1/analyses', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ analysis: 'chest-xray-classification', studyInstanceUid, model, priority }) });
      requested.set(id, { call, owner, model });
    };
    // The large hospital fills the queue before the small one comes with eight.
    for (let seed = 0; seed < STUDIES - 4; seed++) {
      const study = await upload(large, seed);
      await request(large, 'large', study, 'bright', seed % 8 === 0 ? 'stat' : 'routine');
      await request(large, 'large', study, 'nan-dark', seed % 4 === 0 ? 'research' : 'routine');
      if (seed % 4 === 0) await request(large, 'large', study, 'slow', 'routine');
    }
    for (let seed = STUDIES - 4; seed < STUDIES; seed++) {
      const study = await upload(small, seed);
      await request(small, 'small', study, 'bright', 'routine');
      await request(small, 'small', study, 'slow', 'routine');
    }
    // The rest are short ones.
    for (let seed = STUDIES; requested.size < SCALE.runs; seed++) await request(large, 'large', await upload(large, seed), 'bright', 'routine');

    const workers = [await worker(), await worker()];
    const begin = Date.now();
    const finished = new AbortController();
    let kills = 0;
    const killing = (async () => {
      for (let turn = 0; ; turn++) {
        await wait(KILL_EVERY_MS, undefined, { signal: finished.signal }).catch(() => undefined);
        const victim = workers[turn % 2];
        if (finished.signal.aborted || !victim) return;
        kills++;
        victim.process.kill('SIGKILL');
        await once(victim.process, 'exit');
        workers[turn % 2] = await worker();
      }
    })();
    const views = new Map<string, RunView>();
    try {
      await eventually('the end of all runs', async () => {
        for (const [id, { call }] of requested) if (!views.has(id)) {
          const view = await call<RunView>(`/api/v1/analyses/${id}`);
          if (ENDED.includes(view.status)) views.set(id, view);
        }
        return views.size === requested.size;
      }, 800_000);
    } finally {
      finished.abort();
      await killing;
    }

    expect(kills).toBeGreaterThan(0);
    const all = [...requested].map(([id, about]) => ({ ...about, view: views.get(id) }));
    expect(all.filter(({ view }) => view?.status !== 'succeeded').map(({ model, view }) => [model, view?.status])).toEqual([]);
    // Each result once.
    for (const [call, owner] of [[large, 'large'], [small, 'small']] as const) {
      const ids: string[] = [];
      for (let cursor: string | null = ''; cursor !== null;) {
        const page: { items: { analysisId: string }[]; nextCursor: string | null } = await call(`/api/v1/results?limit=200${cursor === '' ? '' : `&cursor=${cursor}`}`);
        ids.push(...page.items.map(({ analysisId }) => analysisId));
        cursor = page.nextCursor;
      }
      expect(ids.sort()).toEqual(all.filter((one) => one.owner === owner).map(({ view }) => view?.id ?? '').sort());
    }
    // What was first begun: startedAt is that of the first claim.
    const begunAt = ({ view }: (typeof all)[number]): number => Date.parse(view?.startedAt ?? '');
    const order = [...all].sort((a, b) => begunAt(a) - begunAt(b));
    const stats = order.filter(({ view }) => view?.priority === 'stat');
    const lastStat = Math.max(...stats.map(begunAt));
    const before = order.filter((one) => one.view?.priority !== 'stat' && begunAt(one) < lastStat);
    // At most what the two workers took beside the last urgent one.
    expect(before.length).toBeLessThanOrEqual(2);
    const firstResearch = Math.min(...order.filter(({ view }) => view?.priority === 'research').map(begunAt));
    expect(order.filter((one) => one.view?.priority === 'routine' && begunAt(one) > firstResearch).length).toBeLessThanOrEqual(2);
    // The small institution came last, and all of its runs are begun before the last of the large one.
    const lastBegun = (owner: string): number => Math.max(...all.filter((one) => one.owner === owner && one.view?.priority === 'routine').map(begunAt));
    expect(lastBegun('small') - begin).toBeLessThan(lastBegun('large') - begin);
    // And it is served sooner. The median, because a run whose worker is killed ends a quarter of a minute later, whoever's it is.
    const endsOf = (owner: string): number[] => all.filter((one) => one.owner === owner && one.view?.priority === 'routine').map(({ view }) => Date.parse(view?.finishedAt ?? '')).sort((a, b) => a - b);
    const medianEnd = (owner: string): number => endsOf(owner)[Math.floor(endsOf(owner).length / 2)] ?? NaN;
    expect(medianEnd('small') - begin).toBeLessThan(medianEnd('large') - begin);
    expect(endsOf('small').at(-1)).toBeGreaterThanOrEqual(Math.min(...endsOf('small'), ...endsOf('large')));
  });
});
