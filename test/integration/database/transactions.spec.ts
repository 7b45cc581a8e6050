import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Prisma } from '../../../src/generated/prisma/client.js';
import type { Transaction } from '../../../src/kernel/transaction.js';
import { uuidv7 } from '../../../src/kernel/uid.js';
import { parseConfig } from '../../../src/platform/config.js';
import { isUniqueViolation } from '../../../src/platform/database/database-errors.js';
import { Database, prismaOf, sendAlong } from '../../../src/platform/database/database.js';
import { openDatabase, type OpenedDatabase } from '../../../src/platform/database/open-database.js';
import { createLogger } from '../../../src/platform/ops/logger.js';
import { preparedDirectory } from '../../support/data-directory.js';
import { query } from './processes.js';

const INSTITUTIONS = Array.from({ length: 6 }, () => uuidv7());
const [here = '', there = ''] = INSTITUTIONS;

let directory: string;
let opened: OpenedDatabase;
let database: Database;

/** Rows that belong to the institution their key begins with. */
const put = (key: string): Prisma.Sql => Prisma.sql`INSERT INTO blob_tombstones (blob_key) VALUES (${key})`;
const keys = async (): Promise<string[]> => (await database.read<{ key: string }>('system', Prisma.sql`SELECT blob_key AS key FROM blob_tombstones`)).map(({ key }) => key);
const openTransactions = async (): Promise<number> => (await query(opened.url, `SELECT FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'`)).length;

beforeAll(async () => {
  directory = await preparedDirectory();
  const config = parseConfig({ DATA_DIR: directory, LOG_LEVEL: 'silent' });
  opened = await openDatabase(config, createLogger('silent'));
  database = new Database(config, opened);
});

afterAll(async () => {
  await database.onApplicationShutdown();
  await opened.close();
  rmSync(directory, { recursive: true, force: true });
});

describe('A transaction', () => {
  it('is one for statements and models, and is gone as a whole when it fails', async () => {
    const [kept, lost] = [`${here}/one/kept`, `${here}/one/lost`];
    const write = (key: string) => async (tx: Transaction) => {
      expect(await prismaOf(tx).$executeRaw(put(`${key}/a`))).toBe(1);
      await prismaOf(tx).blobTombstone.createMany({ data: [{ blobKey: `${key}/b` }, { blobKey: `${key}/c` }] });
      expect(await prismaOf(tx).$queryRaw<{ n: bigint }[]>`SELECT count(*) AS n FROM blob_tombstones WHERE blob_key LIKE ${`${key}%`}`).toEqual([{ n: 3n }]);
      expect(await prismaOf(tx).blobTombstone.findUnique({ where: { blobKey: `${key}/a` } })).toMatchObject({ blobKey: `${key}/a` });
    };
    await database.transaction({ institutionId: here }, write(kept));
    await expect(database.transaction({ institutionId: here }, async (tx) => {
      await write(lost)(tx);
      throw new Error('changed my mind');
    })).rejects.toThrow('changed my mind');
    expect((await keys()).filter((key) => key.includes('/one/')).sort()).toEqual([`${kept}/a`, `${kept}/b`, `${kept}/c`]);
    expect(await openTransactions()).toBe(0);
  });

  it('sees its own institution, through models too, however many are open side by side', async () => {
    for (const id of INSTITUTIONS) await database.transaction({ institutionId: id }, async (tx) => { await prismaOf(tx).$executeRaw(put(`${id}/side/x`)); });
    const seen = await Promise.all(Array.from({ length: 120 }, async (_, i) => {
      const institutionId = INSTITUTIONS[i % INSTITUTIONS.length] ?? '';
      return database.transaction(i % 4 === 3 ? 'system' : { institutionId }, async (tx) => {
        const models = async () => (await prismaOf(tx).blobTombstone.findMany({ where: { blobKey: { contains: '/side/' } } })).map(({ blobKey }) => blobKey);
        const statements = async () => (await prismaOf(tx).$queryRaw<{ key: string }[]>`SELECT blob_key AS key FROM blob_tombstones WHERE blob_key LIKE '%/side/%'`).map(({ key }) => key);
        const found = await Promise.all([models(), statements(), models()]);
        return { of: i % 4 === 3 ? INSTITUTIONS : [institutionId], found: found.map((list) => list.sort()) };
      });
    }));
    for (const { of, found } of seen) for (const list of found) expect(list).toEqual(of.map((id) => `${id}/side/x`).sort());
  });

  it('takes nothing of another institution, from a model either', async () => {
    await expect(database.transaction({ institutionId: here }, (tx) => prismaOf(tx).blobTombstone.create({ data: { blobKey: `${there}/taken` } }))).rejects.toThrow(/row-level security/);
    await expect(database.transaction({ institutionId: here }, (tx) => prismaOf(tx).$executeRaw(put(`${there}/taken`)))).rejects.toThrow(/row-level security/);
    expect(await keys()).not.toContain(`${there}/taken`);
  });

  it('is not taken for stored when PostgreSQL refused a statement and somebody passed over it', async () => {
    const key = `${here}/twice`;
    await database.write({ institutionId: here }, put(key));
    const passOver = database.transaction({ institutionId: here }, async (tx) => {
      await prismaOf(tx).$executeRaw(put(`${here}/beside`));
      await prismaOf(tx).$executeRaw(put(key)).catch(() => undefined);
    });
    await expect(passOver).rejects.toSatisfy(isUniqueViolation);
    await expect(database.transaction({ institutionId: here }, (tx) => prismaOf(tx).blobTombstone.create({ data: { blobKey: key } }))).rejects.toSatisfy(isUniqueViolation);
    expect(await keys()).not.toContain(`${here}/beside`);
  });

  it('stores what nobody waited for, and fails with what PostgreSQL says against it', async () => {
    const [key, beside] = [`${here}/along`, `${here}/along-beside`];
    await database.transaction({ institutionId: here }, (tx) => { sendAlong(tx, put(key)); return Promise.resolve(); });
    expect(await keys()).toContain(key);
    const refused = [
      (tx: Transaction) => { sendAlong(tx, put(key)); return Promise.resolve(); },
      async (tx: Transaction) => { sendAlong(tx, put(key)); await new Promise((resolve) => setTimeout(resolve, 50)); },
      async (tx: Transaction) => { sendAlong(tx, put(key)); await prismaOf(tx).$executeRaw(put(beside)); },
      async (tx: Transaction) => { sendAlong(tx, put(key)); await prismaOf(tx).blobTombstone.create({ data: { blobKey: beside } }); },
      (tx: Transaction) => { sendAlong(tx, put(beside)); sendAlong(tx, put(key)); sendAlong(tx, put(`${beside}2`)); return Promise.resolve(); },
    ];
    for (const work of refused) await expect(database.transaction({ institutionId: here }, work)).rejects.toSatisfy(isUniqueViolation);
    expect((await keys()).filter((one) => one.startsWith(beside))).toEqual([]);
    let left: Transaction | undefined;
    await database.transaction({ institutionId: here }, (tx) => { left = tx; return Promise.resolve(); });
    expect(() => { if (left) sendAlong(left, put(beside)); }).toThrow('over');
    expect(await openTransactions()).toBe(0);
  });

  it('takes nothing any more when it is over, whoever has its connection then', async () => {
    const left: Transaction[] = [];
    for (const end of [() => undefined, () => { throw new Error('over'); }]) {
      await database.transaction({ institutionId: here }, async (tx) => {
        await prismaOf(tx).blobTombstone.count();
        left.push(tx);
        end();
      }).catch(() => undefined);
    }
    await database.transaction({ institutionId: there }, async (tx) => {
      await prismaOf(tx).$queryRaw`SELECT 1`;
      for (const old of left) {
        await expect(prismaOf(old).$executeRaw(put(`${there}/late`))).rejects.toThrow('over');
        await expect(prismaOf(old).blobTombstone.create({ data: { blobKey: `${there}/late` } })).rejects.toThrow('over');
      }
    });
    expect(left).toHaveLength(2);
    expect(await keys()).not.toContain(`${there}/late`);
  });

  it('leaves nothing to the next one on its connection while it still does something itself', async () => {
    const late: Promise<unknown>[] = [];
    for (let i = 0; i < 30; i++) {
      await database.transaction({ institutionId: here }, async (tx) => {
        // Two statements each: the second one may come when the transaction is over.
        late.push(prismaOf(tx).blobTombstone.upsert({ where: { blobKey: `${there}/left/${String(i)}` }, create: { blobKey: `${there}/left/${String(i)}` }, update: {} }).catch((error: unknown) => error));
        await prismaOf(tx).$queryRaw`SELECT 1`;
        if (i % 2 === 0) throw new Error('fails beside it');
      }).catch(() => undefined);
      await database.transaction({ institutionId: there }, (tx) => prismaOf(tx).$queryRaw`SELECT pg_sleep(0.002)`);
    }
    for (const ended of await Promise.all(late)) expect(ended).toBeInstanceOf(Error);
    expect((await keys()).filter((key) => key.includes('/left/'))).toEqual([]);
    expect(await openTransactions()).toBe(0);
  });

  it('is undone when it takes too long, and says nothing more on a connection that another one has', async () => {
    const hasty = new (class extends Database { protected override readonly patienceMs = 300; })(parseConfig({ DATA_DIR: directory, LOG_LEVEL: 'silent', DATABASE_POOL_SIZE: '1' }), opened);
    try {
      let wake = (): void => undefined;
      const asleep = new Promise<void>((resolve) => { wake = resolve; });
      const late = hasty.transaction({ institutionId: here }, async (tx) => { await prismaOf(tx).$executeRaw(put(`${here}/slow`)); await asleep; });
      await expect(late).rejects.toMatchObject({ code: 'database-unavailable' });
      // The next one has its connection, and is in the middle when the first one believes that it is done.
      const next = hasty.transaction({ institutionId: there }, async (tx) => {
        await prismaOf(tx).$executeRaw(put(`${there}/next`));
        wake();
        await new Promise((resolve) => setTimeout(resolve, 100));
        await prismaOf(tx).$executeRaw(put(`${there}/next2`));
        throw new Error('changed my mind');
      });
      await expect(next).rejects.toThrow('changed my mind');
      expect((await keys()).filter((key) => /slow|next/.test(key))).toEqual([]);
      // One that PostgreSQL is busy with keeps its connection until it is undone.
      await expect(hasty.transaction({ institutionId: here }, (tx) => prismaOf(tx).$queryRaw`SELECT pg_sleep(1)::text`)).rejects.toMatchObject({ code: 'database-unavailable' });
      await hasty.transaction({ institutionId: here }, (tx) => prismaOf(tx).$executeRaw(put(`${here}/after`)));
      expect(await keys()).toContain(`${here}/after`);
      expect(await openTransactions()).toBe(0);
    } finally {
      await hasty.onApplicationShutdown();
    }
  });

  it('fails when a statement that somebody forgot is refused, and when its connection is cut', async () => {
    const key = `${here}/forgotten`;
    await database.write({ institutionId: here }, put(key));
    const forgetting = database.transaction({ institutionId: here }, async (tx) => {
      await prismaOf(tx).$executeRaw(put(`${key}/beside`));
      prismaOf(tx).$executeRaw(put(key)).catch(() => undefined);
    });
    await expect(forgetting).rejects.toSatisfy(isUniqueViolation);
    const cut = database.transaction({ institutionId: here }, async (tx) => {
      const [row] = await prismaOf(tx).$queryRaw<{ pid: number }[]>`SELECT pg_backend_pid() AS pid`;
      await prismaOf(tx).$executeRaw(put(`${key}/cut`));
      await query(opened.url, `SELECT pg_terminate_backend(${String(row?.pid)})`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    });
    await expect(cut).rejects.toMatchObject({ code: 'database-unavailable' });
    expect((await keys()).filter((one) => one.startsWith(`${key}/`))).toEqual([]);
    await database.transaction({ institutionId: here }, (tx) => prismaOf(tx).$executeRaw(put(`${key}/again`)));
    expect(await keys()).toContain(`${key}/again`);
  });

  it('leaves a connection of use when it was given a value that cannot be sent, as first statement or later', async () => {
    const single = new Database(parseConfig({ DATA_DIR: directory, LOG_LEVEL: 'silent', DATABASE_POOL_SIZE: '1' }), opened);
    const circular: { self?: unknown } = {};
    circular.self = circular;
    const unsendable = Prisma.sql`SELECT ${circular}::jsonb`;
    try {
      for (const before of [0, 1, 0, 2]) {
        await expect(single.transaction({ institutionId: here }, async (tx) => {
          for (let i = 0; i < before; i++) await prismaOf(tx).$queryRaw`SELECT 1`;
          await prismaOf(tx).$queryRaw(unsendable);
        })).rejects.toThrow(/circular/);
        await expect(single.transaction({ institutionId: here }, (tx) => { sendAlong(tx, unsendable); return Promise.resolve(); })).rejects.toThrow(/circular/);
        await single.transaction({ institutionId: here }, async (tx) => { await prismaOf(tx).$queryRaw`SELECT 1`; await prismaOf(tx).blobTombstone.count(); });
      }
    } finally {
      await single.onApplicationShutdown();
    }
  });

  it('is tried again when two exclude each other', async () => {
    const [a, b] = [`${here}/lock/a`, `${here}/lock/b`];
    await database.writeAll({ institutionId: here }, [put(a), put(b)]);
    let begun = 0;
    let met = meeting();
    const both = (first: string, second: string) => database.transaction({ institutionId: here }, async (tx) => {
      begun++;
      await prismaOf(tx).$executeRaw`UPDATE blob_tombstones SET due_at = now() WHERE blob_key = ${first}`;
      await met();
      await prismaOf(tx).$executeRaw`UPDATE blob_tombstones SET due_at = now() WHERE blob_key = ${second}`;
    });
    await Promise.all([both(a, b), both(b, a)]);
    // One of them was, at least: it may come back before the other has woken, and then they exclude each other once more.
    expect(begun).toBeGreaterThan(2);
    // By a statement that nobody waits for, with others behind it.
    begun = 0;
    met = meeting();
    const along = (first: string, second: string) => database.transaction({ institutionId: here }, async (tx) => {
      begun++;
      await prismaOf(tx).$executeRaw`UPDATE blob_tombstones SET due_at = now() WHERE blob_key = ${first}`;
      await met();
      sendAlong(tx, Prisma.sql`UPDATE blob_tombstones SET due_at = now() WHERE blob_key = ${second}`);
      await Promise.all([prismaOf(tx).$queryRaw`SELECT 2`, prismaOf(tx).blobTombstone.count(), prismaOf(tx).$queryRaw`SELECT 2`]);
    });
    await Promise.all([along(a, b), along(b, a)]);
    expect(begun).toBeGreaterThan(2);
  });

  it('gives values as a SELECT outside of one does, and takes what statements are given', async () => {
    const sql = Prisma.sql`SELECT ${new Date(1_700_000_000_123)}::timestamptz AS at, ${12n}::bigint AS big, ${['a', 'b "c"', '汉']}::text[] AS list, ${Buffer.from([0, 255])}::bytea AS bytes, ${JSON.stringify({ a: [1] })}::jsonb AS json, ${null}::text AS nothing, ${1.5}::float8 AS share, ${true}::boolean AS yes`;
    const inside = await database.transaction({ institutionId: here }, (tx) => prismaOf(tx).$queryRaw(sql));
    expect(inside).toEqual(await database.read({ institutionId: here }, sql));
    expect(inside).toEqual([{ at: new Date(1_700_000_000_123), big: 12n, list: ['a', 'b "c"', '汉'], bytes: Buffer.from([0, 255]), json: { a: [1] }, nothing: null, share: 1.5, yes: true }]);
  });
});

/** Two who hold their first row each go on together, however slow the machine is; whoever comes later is not kept. */
function meeting(): () => Promise<void> {
  let come = 0;
  let open = (): void => undefined;
  const both = new Promise<void>((resolve) => { open = resolve; });
  return () => {
    if (++come === 2) open();
    return both;
  };
}
