import { createHash } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { PoolCounts } from '../ops/pool-connections.js';
import { QUEUE_SCHEMA } from './queue-schema.js';

/** Every fetch and every end of a job takes one for about a millisecond. */
const MOST_CONNECTIONS = 6;
/** BullMQ asks again at once whatever it met, and would leave no time for anything else. */
const AGAIN_MS = 500;
const KEEP_ALIVE_MS = 10_000;

/** Of the locks that name the queues of a process. */
const CONSUMERS = 'healthvision.consumers';
const CONSUME_SQL = 'SELECT pg_advisory_lock_shared(hashtext($1), hashtext($2))';

/** What BullMQ's functions say of a job that is not where it should be. */
const OF_A_JOB = 'BM001';
/** PostgreSQL has no connection left, stops, starts, or cut one. @see PostgreSQL, Appendix A, classes 08, 53 and 57 */
const PASSING = /^(08|53|57)/;

/** A connection that breaks while BullMQ holds it fails what BullMQ asked of it; the event beside that, which BullMQ does not take, would end the process. */
export class HeldClient extends pg.Client {
  constructor(config?: string | pg.ClientConfig) {
    super(config);
    this.on('error', () => undefined);
  }
}

/**
 * What all queues of a process share of PostgreSQL: a few connections for their statements, and one that listens for all of them. BullMQ by itself
 * would take up to five for each queue, and there are dozens of queues and processes. For BullMQ this is a pool of node-postgres.
 */
export class QueuePool extends EventEmitter {
  /** What BullMQ looks for in a pool. */
  readonly options = { keepAlive: true };
  private readonly config: pg.PoolConfig;
  private readonly pool: pg.Pool;
  private readonly borrowed = new Set<BorrowedClient>();
  private readonly names = new Map<string, string>();
  private listener: Promise<pg.Client> | undefined;
  /** Queues that this process takes jobs of. */
  private readonly consumed = new Set<string>();
  /** What the listener was told: once for all queues, one after the other. */
  private readonly told = new Map<string, Promise<pg.QueryResult>>();
  private isEnded = false;

  constructor(config: pg.PoolConfig) {
    super();
    // Every queue listens to its errors.
    this.setMaxListeners(0);
    this.config = { ...config, options: `-c search_path="${QUEUE_SCHEMA}"` };
    this.pool = new pg.Pool({ ...this.config, max: MOST_CONNECTIONS, Client: HeldClient });
    this.pool.on('error', () => undefined);
  }

  /** For metrics. */
  get counts(): PoolCounts {
    return this.pool;
  }

  /** PostgreSQL parses each statement once per connection. What is asked for after the end is never answered, as of a server that is gone. */
  async query(text: string, values?: unknown[]): Promise<pg.QueryResult> {
    if (this.isEnded) return new Promise(() => undefined);
    try {
      return await this.pool.query(values === undefined || values.length === 0 ? text : { name: this.nameOf(text), text, values });
    } catch (error) {
      if (this.hasEnded()) return new Promise(() => undefined);
      if (!(error instanceof pg.DatabaseError) || error.code !== OF_A_JOB) await sleep(AGAIN_MS, undefined, { ref: false });
      throw error;
    }
  }

  /** What one queue looks at its tables and listens with. */
  connect(): Promise<BorrowedClient> {
    const client = new BorrowedClient(this, () => { this.borrowed.delete(client); });
    this.borrowed.add(client);
    return Promise.resolve(client);
  }

  /** As `query`, until PostgreSQL is there: BullMQ does not ask a second time whether its tables are. */
  async insist(text: string, values?: unknown[]): Promise<pg.QueryResult> {
    for (;;) {
      try {
        return await this.query(text, values);
      } catch (error) {
        if (error instanceof pg.DatabaseError && !PASSING.test(error.code ?? '')) throw error;
      }
    }
  }

  /** Has one connection listen for all. @throws what the connection met; the next who asks opens another */
  async listen(text: string): Promise<pg.QueryResult> {
    try {
      this.listener ??= this.openListener();
      const client = await this.listener;
      const known = this.told.get(text) ?? Promise.all(this.told.values()).then(() => client.query(text));
      this.told.set(text, known);
      return await known;
    } catch (error) {
      this.forgetListener();
      await sleep(AGAIN_MS, undefined, { ref: false });
      throw error;
    }
  }

  /** Says that this process takes jobs of a queue, for as long as it listens: by a lock that others see. */
  consume(queue: string): void {
    this.consumed.add(queue);
    this.listener?.then((client) => client.query(CONSUME_SQL, [CONSUMERS, queue])).catch(() => undefined);
  }

  /** How many processes take jobs of a queue. */
  async consumersOf(queue: string): Promise<number> {
    const { rows } = await this.query(`
      SELECT count(*)::int AS consumers FROM pg_locks
      WHERE locktype = 'advisory' AND granted AND objsubid = 2 AND classid = hashtext($1)::oid AND objid = hashtext($2)::oid AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`, [CONSUMERS, queue]);
    return (rows as { consumers: number }[])[0]?.consumers ?? 0;
  }

  /** BullMQ leaves it to its owner. */
  async end(): Promise<void> {
    if (this.isEnded) return;
    this.isEnded = true;
    const listener = await this.listener?.catch(() => undefined);
    await Promise.all([this.pool.end(), listener?.end().catch(() => undefined)]);
  }

  private async openListener(): Promise<pg.Client> {
    const client = new HeldClient({ ...this.config, keepAlive: true, keepAliveInitialDelayMillis: KEEP_ALIVE_MS });
    await client.connect();
    for (const queue of this.consumed) await client.query(CONSUME_SQL, [CONSUMERS, queue]);
    client.on('notification', (message) => { for (const one of this.borrowed) one.emit('notification', message); });
    client.on('error', (error) => { this.lose(client, error); });
    client.on('end', () => { this.lose(client, new Error('Connection terminated')); });
    return client;
  }

  private lose(client: pg.Client, error: Error): void {
    void this.listener?.then((current) => {
      if (current !== client || this.isEnded) return;
      this.forgetListener();
      client.end().catch(() => undefined);
      // Each gives its client back and asks for another.
      for (const one of [...this.borrowed]) if (one.listenerCount('error') > 0) one.emit('error', error);
    }, () => undefined);
  }

  private forgetListener(): void {
    this.listener = undefined;
    this.told.clear();
  }

  /** Meanwhile. */
  private hasEnded(): boolean {
    return this.isEnded;
  }

  private nameOf(text: string): string {
    const known = this.names.get(text);
    if (known !== undefined) return known;
    const name = `q${createHash('sha256').update(text).digest('base64url').slice(0, 32)}`;
    this.names.set(text, name);
    return name;
  }
}

const NOTHING: pg.QueryResult = { command: 'SELECT', rowCount: 0, oid: 0, fields: [], rows: [] };

/** As much of a client of a pool as BullMQ uses. */
class BorrowedClient extends EventEmitter {
  constructor(private readonly pool: QueuePool, readonly release: () => void) {
    super();
  }

  query(text: string, values?: unknown[]): Promise<pg.QueryResult> {
    if (/^\s*LISTEN\s/m.test(text)) return this.pool.listen(text);
    // The connection is no queue's own, and bears no queue's name: see `consume`.
    if (text.includes(`set_config('application_name'`)) return Promise.resolve(NOTHING);
    return this.pool.insist(text, values);
  }
}
