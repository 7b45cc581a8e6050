import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newDicomUid } from '../../src/kernel/uid.js';
import { discardEmbeddedPostgres, openEmbeddedPostgres, type EmbeddedPostgres } from '../../src/platform/database/embedded-postgres.js';
import { radiograph } from '../chaos/harness/load.js';
import { modelsDirectory } from '../integration/analysis/model-packs.js';
import { relatedBody, STOW_TYPE } from '../support/dicom-files.js';
import type { AnalysisView } from '../support/flow.js';
import { LoadBalancer } from '../support/load-balancer.js';
import { NPM_START } from '../support/npm-start.mjs';
import { ADMIN, eventually, ROOT, startProduct, temporaryDirectory, type Product } from '../support/product.js';
import { earlierVersion, versionWith, type Version } from '../support/versions.js';

/** The state before there was anything to upgrade with. */
const BEFORE = 'cf63f4c24a4ca7b675bc30a4a2da799903e3a897';
const EXPAND = {
  '29990101000000_rehearsal_column': 'ALTER TABLE studies ADD COLUMN rehearsed_at timestamptz;',
  '29990101000100_rehearsal_index': 'CREATE INDEX CONCURRENTLY IF NOT EXISTS studies_rehearsed_at ON studies (rehearsed_at);',
};
const BROKEN = { '29990101000000_rehearsal_column': 'ALTER TABLE studies ADD COLUMN rehearsed_at timestamptz; ALTER TABLE rehearsals ADD COLUMN note text;' };
const READS = ['/api/v1/studies?limit=20', '/api/v1/results?limit=20', '/api/v1/analyses?limit=20', '/dicom-web/studies?limit=10', '/api/v1/worklist', '/api/v1/models'];

/** Steady work through the load balancer: uploads and reads, none of which is tried again. */
class Load {
  /** Studies whose upload was acknowledged. */
  readonly studies: string[] = [];
  readonly failures: string[] = [];
  reads = 0;
  private readonly stopping = new AbortController();
  private readonly running: Promise<unknown>;

  constructor(private readonly url: string, private readonly token: string) {
    this.running = Promise.all([this.repeat(200, () => this.upload()), this.repeat(60, () => this.read()), this.repeat(60, () => this.read())]);
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.running;
  }

  async ask(path: string, init: RequestInit = {}): Promise<Response | undefined> {
    const what = `${init.method ?? 'GET'} ${path}`;
    try {
      const response = await fetch(`${this.url}${path}`, { ...init, headers: { ...init.headers as Record<string, string>, authorization: `Bearer ${this.token}` } });
      const body = await response.arrayBuffer();
      if (!response.ok) this.failures.push(`${what}: ${String(response.status)} ${Buffer.from(body).toString().slice(0, 200)}`);
      return response.ok ? new Response(body) : undefined;
    } catch (error) {
      this.failures.push(`${what}: ${String(error)}`);
      return undefined;
    }
  }

  private async repeat(pauseMs: number, work: () => Promise<unknown>): Promise<void> {
    while (!this.stopping.signal.aborted) {
      await work();
      await wait(pauseMs);
    }
  }

  private async upload(): Promise<void> {
    const studyInstanceUid = newDicomUid();
    const body = new Uint8Array(relatedBody([radiograph(studyInstanceUid, this.studies.length)]));
    if (await this.ask('/dicom-web/studies', { method: 'POST', body, headers: { 'content-type': STOW_TYPE } })) this.studies.push(studyInstanceUid);
  }

  private async read(): Promise<void> {
    await this.ask(READS[this.reads++ % READS.length] ?? '');
  }
}

const old = earlierVersion(BEFORE);

describe.skipIf(old === undefined)('a rolling upgrade, and the way back', () => {
  const dataDir = temporaryDirectory();
  const databaseDir = temporaryDirectory();
  const running = new Map<string, Product>();
  const folders: string[] = [dataDir, databaseDir];
  let database: EmbeddedPostgres;
  let sql: pg.Pool;
  let balancer: LoadBalancer;
  let load: Load;

  const env = (): Record<string, string> => ({
    DATABASE_URL: database.url, MODELS_DIR: modelsDirectory(['bright']), SETTLE_SECONDS: '1', INFERENCE_THREADS: '1', RATE_LIMIT_PRINCIPAL: '0', RATE_LIMIT_ADDRESS: '0',
    // Only the new version knows it, and needs nobody to take it out of the load balancer before.
    SHUTDOWN_DELAY_SECONDS: '4',
  });

  async function start(name: string, role: 'api' | 'worker', version: Version): Promise<void> {
    const product = await startProduct({ dataDir, env: { ...env(), APP_ROLE: role }, program: { argv: [...NPM_START.argv.slice(0, -1), version.main], cwd: ROOT } });
    running.set(name, product);
    if (role === 'api') await balancer.add(name, product.url);
  }

  /** @param drain  whether the load balancer is told before, as by a hook before the stop */
  async function stop(name: string, drain: boolean): Promise<void> {
    if (drain) await balancer.remove(name);
    expect(await running.get(name)?.stop(), running.get(name)?.output()).toBe(0);
    running.delete(name);
  }

  /** `healthvision migrate` of a version. */
  async function migrate(version: Version): Promise<{ status: number; stdout: string; stderr: string }> {
    const variables = { PATH: process.env.PATH, HOME: process.env.HOME, DATA_DIR: dataDir, ...env() };
    return new Promise((resolve) => {
      const child = execFile(process.execPath, [version.command, 'migrate', '--json'], { env: variables }, (_error, stdout, stderr) => { resolve({ status: child.exitCode ?? -1, stdout, stderr }); });
    });
  }

  function expectNoFailure(): void {
    expect(balancer.broken).toEqual([]);
    expect(load.failures).toEqual([]);
  }

  /** So that every version serves for a while what the others wrote. */
  async function workOn(): Promise<void> {
    const until = load.reads + 40;
    await eventually('some more work', () => Promise.resolve(load.reads >= until), 60_000);
  }

  beforeAll(async () => {
    if (!old) return;
    folders.push(dirname(old.folder));
    database = await openEmbeddedPostgres({ dataDir: databaseDir, log: () => undefined });
    sql = new pg.Pool({ connectionString: database.url, max: 1 });
    balancer = await LoadBalancer.open();
    await start('old-1', 'api', old);
    await Promise.all([start('old-2', 'api', old), start('old-worker', 'worker', old)]);
    const answer = await fetch(`${balancer.url}/oauth2/token`, { method: 'POST', body: new URLSearchParams({ grant_type: 'password', username: ADMIN.email, password: ADMIN.password }) });
    const { access_token: token } = (await answer.json()) as { access_token: string };
    load = new Load(balancer.url, token);
  });

  afterAll(async () => {
    await load.stop();
    for (const product of running.values()) await product.stop();
    balancer.close();
    await sql.end();
    await database.close();
    await discardEmbeddedPostgres(databaseDir);
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  });

  const columns = async (): Promise<unknown[]> => (await sql.query<{ column_name: string }>(`SELECT column_name FROM information_schema.columns WHERE table_name = 'studies' AND column_name = 'rehearsed_at'`)).rows;

  it('goes on serving the old version when a migration fails', async () => {
    const broken = versionWith(BROKEN);
    folders.push(dirname(broken.folder));
    const { status, stdout, stderr } = await migrate(broken);
    expect(stderr).toBe('error: configuration-invalid: The migration 29990101000000_rehearsal_column failed: relation "rehearsals" does not exist\n');
    expect([status, stdout]).toEqual([1, '']);
    expect(await columns()).toEqual([]);
    await workOn();
    expectNoFailure();
  });

  it('fails no request and loses no job on the way to the new version and back', async () => {
    if (!old) return;
    const next = versionWith(EXPAND);
    folders.push(dirname(next.folder));
    const migrated = await migrate(next);
    expect(migrated.stderr).toBe('');
    expect(JSON.parse(migrated.stdout)).toMatchObject({ applied: Object.keys(EXPAND) });
    expect(await columns()).toHaveLength(1);
    await workOn();
    expectNoFailure();

    for (const number of [1, 2]) {
      await start(`new-${String(number)}`, 'api', next);
      await stop(`old-${String(number)}`, true);
      expectNoFailure();
    }
    await start('new-worker', 'worker', next);
    await stop('old-worker', false);
    await workOn();
    expectNoFailure();

    // Back: older processes start on the newer schema. The new ones are told to stop, and nobody tells the load balancer but they.
    for (const number of [1, 2]) {
      await start(`again-${String(number)}`, 'api', old);
      await stop(`new-${String(number)}`, false);
      expectNoFailure();
    }
    await start('again-worker', 'worker', old);
    await stop('new-worker', false);
    await workOn();
    await load.stop();
    expectNoFailure();
    for (const name of ['old-1', 'old-2', 'new-1', 'new-2', 'again-1', 'again-2']) expect(balancer.served(name), name).toBeGreaterThan(0);

    const asked = async <T>(path: string): Promise<T[]> => ((await (await load.ask(path))?.json()) as { items: T[] }).items;
    for (const studyInstanceUid of load.studies) {
      const runs = await eventually(`the analysis of ${studyInstanceUid}`, async () => {
        const found = await asked<AnalysisView>(`/api/v1/analyses?studyInstanceUid=${studyInstanceUid}`);
        return found.length > 0 && found.every(({ status }) => status !== 'queued' && status !== 'running') && found;
      }, 60_000);
      expect(runs.map(({ status }) => status)).toEqual(['succeeded']);
      expect(await asked(`/api/v1/results?studyInstanceUid=${studyInstanceUid}`)).toHaveLength(1);
    }
    expectNoFailure();
    console.info(`${String(load.studies.length)} uploads, ${String(load.reads)} reads`);
  }, 400_000);
});
