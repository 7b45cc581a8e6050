import { rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { ChaosHouse, Slot } from './house.js';
import type { ChaosReceivers } from './receivers.js';

const HOUR_MS = 3_600_000;

export interface FaultContext {
  house: ChaosHouse;
  receivers: ChaosReceivers;
  random: () => number;
  /** How long what lasts lasts. */
  outageMs: number;
}

/** Breaks something, waits as long as it lasts, and mends what does not mend itself. */
export type Fault = (context: FaultContext) => Promise<void>;

const pick = <T>(of: readonly T[], random: () => number): T | undefined => of[Math.floor(random() * of.length)];
const slots = ({ apis, workers }: ChaosHouse): readonly Slot[] => [...apis, ...workers];

async function during(context: FaultContext, begin: () => void, end: () => void): Promise<void> {
  begin();
  await wait(context.outageMs);
  end();
}

const COMMON: Readonly<Record<string, Fault>> = {
  'api killed': ({ house, random }) => { pick(house.apis, random)?.kill('SIGKILL'); return Promise.resolve(); },
  'worker killed': ({ house, random }) => { pick(house.workers, random)?.kill('SIGKILL'); return Promise.resolve(); },
  'all workers killed': ({ house }) => { for (const worker of house.workers) worker.kill('SIGKILL'); return Promise.resolve(); },
  'process told to stop': ({ house, random }) => { pick(slots(house), random)?.kill('SIGTERM'); return Promise.resolve(); },
  'process stands still': (context) => {
    const slot = pick(slots(context.house), context.random);
    return during(context, () => { slot?.kill('SIGSTOP'); }, () => { slot?.kill('SIGCONT'); });
  },
  'PostgreSQL killed': async ({ house }) => { await house.postgres.kill(); },
  'PostgreSQL unreachable': (context) => during(context, () => { context.house.postgres.proxy.cut(); }, () => { context.house.postgres.proxy.heal(); }),
  'PostgreSQL connections reset': ({ house }) => { house.postgres.proxy.sever(); return Promise.resolve(); },
  // As after a change of the primary: connections end, and for a while the address leads to one that takes nothing.
  'PostgreSQL changes its primary': async ({ house, outageMs }) => {
    await house.postgres.setReadOnly(true);
    await wait(outageMs / 2);
    await house.postgres.setReadOnly(false);
  },
  'clock an hour ahead': (context) => jump(context, HOUR_MS),
  'clock an hour behind': (context) => jump(context, -HOUR_MS),
  'receiver refuses': (context) => during(context, () => { context.receivers.mood = 'refuses'; }, () => { context.receivers.mood = 'well'; }),
  'receiver cuts': (context) => during(context, () => { context.receivers.mood = 'cuts'; }, () => { context.receivers.mood = 'well'; }),
  // Whatever was handed over lately is handed over once more, in any order, beside what the queue has of it.
  'events handed over again': async ({ house }) => { await house.sql(`UPDATE outbox SET dispatched_at = NULL WHERE dispatched_at > now() - interval '1 minute' AND random() < 0.5`); },
};

const ON_POSTGRES: Readonly<Record<string, Fault>> = {
  'queue emptied': async ({ house }) => {
    const [row] = await house.sql<{ tables: string }>(`SELECT string_agg(format('bullmq.%I', tablename), ', ') AS tables FROM pg_tables WHERE schemaname = 'bullmq' AND tablename !~ 'migration|ledger|version'`);
    await house.sql(`TRUNCATE ${row?.tables ?? ''}`);
  },
};

const ON_REDIS: Readonly<Record<string, Fault>> = {
  'Redis killed': async ({ house }) => { await house.redis?.kill(); },
  'Redis unreachable': async (context) => {
    const proxy = await context.house.redis?.proxy();
    await during(context, () => { proxy?.cut(); }, () => { proxy?.heal(); });
  },
  'Redis connections reset': async ({ house }) => { (await house.redis?.proxy())?.sever(); },
  'Redis changes its primary': async ({ house }) => { await house.redis?.changePrimary(); },
  'queue emptied': async ({ house }) => { await house.redis?.flush(); },
};

const ON_S3: Readonly<Record<string, Fault>> = {
  'S3 answers 500': (context) => judged(context, () => ({ status: 500, code: 'InternalError' })),
  'S3 answers 503': (context) => judged(context, () => ({ status: 503, code: 'SlowDown' })),
  'S3 is slow': (context) => judged(context, () => ({ afterMs: 2_000 })),
  'S3 cuts': (context) => judged(context, () => 'cut'),
  'S3 gives wrong bytes': (context) => judged(context, ({ method }) => (method === 'GET' ? 'corrupt' : 'pass')),
};

const ON_DISK: Readonly<Record<string, Fault>> = {
  'disk full': (context) => {
    const ballast = join(context.house.disk ?? '', 'ballast');
    return during(context, () => { fill(context.house.disk ?? '', ballast); }, () => { rmSync(ballast, { force: true }); });
  },
};

/** What can befall this house. */
export function faultsOf(house: ChaosHouse): Readonly<Record<string, Fault>> {
  return { ...COMMON, ...(house.redis ? ON_REDIS : ON_POSTGRES), ...(house.s3 && ON_S3), ...(house.disk !== undefined && ON_DISK) };
}

function jump(context: FaultContext, offsetMs: number): Promise<void> {
  const slot = pick(slots(context.house), context.random);
  return during(context, () => { slot?.setClock(offsetMs); }, () => { slot?.setClock(0); });
}

/** Half of the requests: some of what belongs together goes through. */
function judged({ house, random, outageMs }: FaultContext, rule: Parameters<NonNullable<ChaosHouse['s3']>['judge']>[0]): Promise<void> {
  house.s3?.judge((request) => (random() < 0.5 ? rule(request) : 'pass'));
  return wait(outageMs).then(() => { house.s3?.judge(() => 'pass'); });
}

/** Not a byte is left: tmpfs takes what fits and refuses the rest. */
function fill(folder: string, file: string): void {
  const { bavail, bsize } = statfsSync(folder);
  try {
    writeFileSync(file, Buffer.alloc(bavail * bsize));
  } catch {
    // Somebody else took some of it meanwhile: it is full all the same.
  }
}
