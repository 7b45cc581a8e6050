import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { uuidv7 } from '../../../src/kernel/uid.js';
import { ClaimsStore } from '../../../src/modules/analysis/claims.store.js';
import type { RunRow } from '../../../src/modules/analysis/runs.store.js';
import { ComputeShares } from '../../../src/modules/analysis/scheduling/compute-shares.service.js';
import { QueueStore, type Claimant } from '../../../src/modules/analysis/scheduling/queue.store.js';
import { parseConfig, type Config } from '../../../src/platform/config.js';
import { Database, prismaOf, type PrismaTransaction } from '../../../src/platform/database/database.js';
import { openDatabase, type OpenedDatabase } from '../../../src/platform/database/open-database.js';
import { createLogger } from '../../../src/platform/ops/logger.js';
import { preparedDirectory } from '../../support/data-directory.js';

const AGING_SECONDS = 1_800;

describe('the queue of runs', () => {
  let opened: OpenedDatabase;
  let database: Database;
  let queue: QueueStore;
  let claims: ClaimsStore;
  const [first, second] = [uuidv7(), uuidv7()];
  const [small, large] = [uuidv7(), uuidv7()];

  const system = <T>(work: (client: PrismaTransaction) => Promise<T>): Promise<T> => database.transaction('system', (tx) => work(prismaOf(tx)));
  const claimant = (budgetMb = 4_000, name = 'here/cpu'): Claimant => ({ workerId: 'w', device: { name, kind: 'cpu', budgetMb }, agingSeconds: AGING_SECONDS, lacking: [] });

  beforeAll(async () => {
    const config: Config = parseConfig({ DATA_DIR: await preparedDirectory() });
    opened = await openDatabase(config, createLogger('silent'));
    database = new Database(config, opened);
    queue = new QueueStore(database);
    claims = new ClaimsStore(database);
    await system(async (client) => {
      await client.institution.createMany({ data: [first, second].map((id) => ({ id, name: id })) });
      for (const [id, name, peakMemoryMb] of [[small, 'small', 100], [large, 'large', 3_000]] as const) {
        await client.model.create({ data: { id, name, version: '1.0.0', digest: `sha256:${name}`, analysis: 'a', recipe: 'r', state: 'active', manifest: { resources: { peakMemoryMb } } } });
      }
    });
  });
  beforeEach(() => system(async (client) => {
    await client.analysisRun.deleteMany();
    await client.computeShare.deleteMany();
    await client.modelResources.deleteMany();
  }));
  afterAll(async () => {
    await database.onApplicationShutdown();
    await opened.close();
  });

  let made = 0;
  const add = async ({ institution = first, priority = 'routine', waitedSeconds = 0, model = small, ...more }: { institution?: string; priority?: string; waitedSeconds?: number; model?: string; notBefore?: Date } = {}): Promise<string> => {
    const id = uuidv7();
    const name = model === small ? 'small' : 'large';
    await system((client) => client.analysisRun.create({
      data: {
        id, institutionId: institution, studyId: uuidv7(), studyInstanceUid: `1.2.${String(made++)}`, studyRevision: 1, analysis: 'a', modelId: model, modelName: name, modelVersion: '1.0.0', modelDigest: `sha256:${name}`,
        selection: '', priority, queuedAt: new Date(Date.now() - waitedSeconds * 1000), ...more,
      },
    }));
    return id;
  };
  const claim = async (who = claimant()): Promise<string | undefined> => (await queue.claim(who)).run?.id;
  const finish = (run: RunRow): Promise<number | undefined> => database.transaction({ institutionId: run.institutionId }, (tx) => claims.finish(tx, run, { status: 'cancelled' }));

  it('gives stat before routine before research, and the oldest first among equals', async () => {
    const research = await add({ priority: 'research', waitedSeconds: 60 });
    const younger = await add({ waitedSeconds: 10 });
    const older = await add({ waitedSeconds: 20 });
    const stat = await add({ priority: 'stat' });
    expect([await claim(), await claim(), await claim(), await claim(), await claim()]).toEqual([stat, older, younger, research, undefined]);
  });

  it('leaves runs of a model that the worker lacks to others, and takes those behind them', async () => {
    const others = [];
    for (let i = 0; i < 10; i++) others.push(await add({ model: large, waitedSeconds: 100 - i }));
    const own = await add({ waitedSeconds: 1 });
    const without = { ...claimant(), lacking: ['sha256:large', 'sha256:none'] };
    expect(await claim(without)).toBe(own);
    expect(await queue.claim(without)).toEqual({ run: undefined, waiting: true });
    expect(await claim()).toBe(others[0]);
  });

  it('does not take up again what somebody cancelled while a worker had it', async () => {
    const cancelled = await add();
    const { run } = await queue.claim(claimant());
    await system((client) => client.analysisRun.update({ where: { id: cancelled }, data: { cancelRequestedAt: new Date() } }));
    for (const why of ['handed-back', 'counted', 'surroundings'] as const) expect(await claims.requeue(run as RunRow, why)).toBe(false);
    expect(await claim()).toBeUndefined();
    expect(await finish(run as RunRow)).toBeGreaterThanOrEqual(0);
  });

  it('lets what waits long rise to the next priority', async () => {
    const routine = await add({ waitedSeconds: 60 });
    const research = await add({ priority: 'research', waitedSeconds: AGING_SECONDS + 90 });
    await add({ priority: 'research', waitedSeconds: AGING_SECONDS - 90 });
    expect([await claim(), await claim()]).toEqual([research, routine]);
  });

  it('serves institutions in turn, whatever each has queued', async () => {
    for (let i = 0; i < 6; i++) await add({ waitedSeconds: 600 });
    const late = [await add({ institution: second, waitedSeconds: 2 }), await add({ institution: second, waitedSeconds: 1 })];
    const order = [await claim(), await claim(), await claim(), await claim()];
    expect(order.filter((id) => late.includes(id ?? ''))).toEqual(late);
    expect(order.slice(0, 2).filter((id) => late.includes(id ?? '')).length).toBe(1);
  });

  it('remembers what an institution computed of late', async () => {
    await add();
    const { run } = await queue.claim(claimant());
    if (!run) throw new Error('nothing was taken');
    await system((client) => client.analysisRun.update({ where: { id: run.id }, data: { startedAt: new Date(Date.now() - 300_000) } }));
    const seconds = await finish(run) ?? -1;
    expect(seconds).toBeGreaterThanOrEqual(300);
    expect(await finish(run)).toBeUndefined();
    const shares = new ComputeShares(queue, createLogger('silent'));
    await shares.add(first, seconds);
    const share = await system((client) => client.computeShare.findUniqueOrThrow({ where: { institutionId: first } }));
    expect(share.seconds).toBeGreaterThan(295);
    expect(share.seconds).toBeLessThan(310);
    await add({ waitedSeconds: 100 });
    const other = await add({ institution: second });
    expect(await claim()).toBe(other);
  });

  it('adds what ends at the same time, and counts no run for more than a quarter of an hour', async () => {
    const shares = new ComputeShares(queue, createLogger('silent'));
    await Promise.all([shares.add(first, 3), shares.add(second, 50), shares.add(first, 4), shares.add(second, 90_000)]);
    await shares.add(first, 5);
    // What cannot be written is forgotten.
    await shares.add('no institution', 5);
    const rows = await system((client) => client.computeShare.findMany());
    const secondsOf = new Map(rows.map(({ institutionId, seconds }) => [institutionId, seconds]));
    expect(secondsOf.get(first)).toBeCloseTo(12, 1);
    expect(secondsOf.get(second)).toBeCloseTo(950, 0);
  });

  it('does not wait for a database that hangs to tell it what runs cost', async () => {
    const written: unknown[] = [];
    const hanging = { addShares: (shares: unknown) => (written.push(shares) === 1 ? new Promise<void>(() => undefined) : Promise.resolve()) };
    const shares = new ComputeShares(hanging as unknown as QueueStore, createLogger('silent'));
    await Promise.all([shares.add(first, 1), shares.add(first, 2), shares.add(second, 3)]);
    expect(written).toEqual([[[first, 1]], [[first, 2], [second, 3]]]);
  });

  it('keeps the runs of a device within its memory, and learns what they take', async () => {
    const first3000 = await add({ model: large, waitedSeconds: 40 });
    await add({ model: large, waitedSeconds: 30 });
    const small100 = await add({ waitedSeconds: 20 });
    expect([await claim(), await claim()]).toEqual([first3000, small100]);
    expect(await queue.claim(claimant())).toMatchObject({ run: undefined, waiting: true });
    expect(await claim(claimant(4_000, 'elsewhere/cpu'))).toBeDefined();
    const measured = await add();
    await queue.learn('sha256:small', 'cpu', 950);
    await queue.learn('sha256:small', 'cpu', 500);
    expect(await claim()).toBeUndefined();
    await system((client) => client.analysisRun.updateMany({ where: { id: first3000 }, data: { heartbeatAt: new Date(Date.now() - 60_000) } }));
    expect(await claim()).toBe(measured);
  });

  it('computes a run that is larger than the device alone, and holds small ones back when it waited long', async () => {
    const busy = await add({ waitedSeconds: 100 });
    expect(await claim(claimant(1_000))).toBe(busy);
    const big = await add({ model: large, waitedSeconds: 90 });
    const later = await add({ waitedSeconds: 80 });
    expect(await claim(claimant(1_000))).toBeUndefined();
    await system((client) => client.analysisRun.update({ where: { id: busy }, data: { status: 'cancelled' } }));
    expect(await claim(claimant(1_000))).toBe(big);
    expect(await claim(claimant(1_000))).toBeUndefined();
    await system((client) => client.analysisRun.update({ where: { id: big }, data: { status: 'cancelled' } }));
    expect(await claim(claimant(1_000))).toBe(later);
  });

  it('never gives one run twice, nor more memory than there is, to workers that ask at once', async () => {
    for (let i = 0; i < 10; i++) await add();
    const taken = (await Promise.all(Array.from({ length: 16 }, () => claim(claimant(750))))).filter((id) => id !== undefined);
    expect(new Set(taken).size).toBe(taken.length);
    expect(taken.length).toBe(7);
  });

  it('gives runs of one model and priority together, from all institutions in turn', async () => {
    for (let i = 0; i < 6; i++) await add({ waitedSeconds: 50 });
    const other = await add({ institution: second });
    await add({ priority: 'stat', model: large });
    await add({ priority: 'research' });
    const ids = new Set<string>();
    const { run: stat } = await queue.claim(claimant());
    expect(stat?.modelName).toBe('large');
    const { run } = await queue.claim(claimant());
    if (!run) throw new Error('nothing was taken');
    for (const { id, priority, memoryMb } of await queue.claimAlike(claimant(), run, 3)) {
      ids.add(id);
      expect([priority, memoryMb]).toEqual(['routine', 0]);
    }
    expect(ids.size).toBe(3);
    expect(ids.has(other) || run.id === other).toBe(true);
  });

  it('lets a run wait after a fault of the surroundings, longer after each, at no cost of its tries', async () => {
    await add();
    const { run } = await queue.claim(claimant());
    if (!run) throw new Error('nothing was taken');
    expect(await claims.requeue(run, 'surroundings')).toBe(true);
    expect(await queue.claim(claimant())).toEqual({ run: undefined, waiting: true });
    const row = await system((client) => client.analysisRun.findUniqueOrThrow({ where: { id: run.id } }));
    expect(row).toMatchObject({ attempts: 0, faults: 1, status: 'queued' });
    expect(row.queuedAt).toEqual(run.queuedAt);
    await system((client) => client.analysisRun.update({ where: { id: run.id }, data: { notBefore: new Date(Date.now() - 1) } }));
    expect(await claim()).toBe(run.id);
  });
});
