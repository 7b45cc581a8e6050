import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';
import { PrismaClient, type Prisma } from '../../generated/prisma/client.js';

/** A connection on which a transaction is open. */
export type OpenConnection = Pick<pg.ClientBase, 'query'>;

/** Prisma's client on somebody's connection. */
export interface Loan {
  readonly client: Prisma.TransactionClient;
  /** After that the client refuses everything. What it has begun, the owner must refuse: the connection may be another's. */
  giveBack(): Promise<void>;
}

/** Names the connection that is meant, among those that wait to be lent; never sent to PostgreSQL. */
const TAKE = 'TAKE $1';
/** Begin and end are the owner's. */
const OF_TRANSACTIONS = new Set(['BEGIN', 'COMMIT', 'ROLLBACK']);
const NOTHING = { rows: [], fields: [], rowCount: 0 };
/** The owner ends its transaction before. */
const LONGEST_MS = 2 * 60_000;

/**
 * One Prisma client for whoever has a connection with an open transaction, of whatever login: it takes 13 MB. What Prisma begins and ends there touches nothing, and
 * outside of a loan it has no connection at all.
 */
export class LentConnections {
  private readonly waiting = new Map<string, OpenConnection>();
  private client: PrismaClient | undefined;
  private lent = 0;

  constructor(private readonly nameOf: (sql: string) => string) {}

  async lend(connection: OpenConnection): Promise<Loan> {
    this.client ??= new PrismaClient({ adapter: new PrismaPg(new Lender(this.waiting), { statementNameGenerator: ({ sql }) => this.nameOf(sql) }) });
    const { client: prisma } = this;
    const token = String(++this.lent);
    this.waiting.set(token, connection);
    try {
      return await new Promise<Loan>((resolve, reject) => {
        let end: () => void;
        const over = new Promise<void>((done) => { end = done; });
        const session = prisma.$transaction(async (client) => {
          await client.$executeRawUnsafe(TAKE, token);
          resolve({ client, giveBack: () => { end(); return session; } });
          await over;
        }, { maxWait: LONGEST_MS, timeout: LONGEST_MS });
        session.catch(reject);
      });
    } finally {
      this.waiting.delete(token);
    }
  }

  async close(): Promise<void> {
    await this.client?.$disconnect();
  }
}

/** Looks like the pool that Prisma's adapter asks for connections. */
class Lender extends pg.Pool {
  // Of the overloads of node-postgres, Prisma's adapter takes those with a promise.
  override query = (() => Promise.reject(new Error('Prisma has a connection inside of a transaction only.'))) as unknown as pg.Pool['query'];
  override connect = (() => Promise.resolve(new LentConnection(this.waiting))) as unknown as pg.Pool['connect'];

  constructor(private readonly waiting: ReadonlyMap<string, OpenConnection>) {
    super();
  }
}

/** As much of a connection as Prisma's adapter asks for. It is nobody's until it is told whose. */
class LentConnection {
  private connection: OpenConnection | undefined;

  constructor(private readonly waiting: ReadonlyMap<string, OpenConnection>) {}

  on(): this { return this; }

  removeListener(): this { return this; }

  release(): void { this.connection = undefined; }

  async query(query: pg.QueryConfig<string[]>): Promise<unknown> {
    if (OF_TRANSACTIONS.has(query.text)) return NOTHING;
    if (query.text !== TAKE) {
      if (!this.connection) throw new Error('The transaction is over.');
      return this.connection.query(query);
    }
    this.connection = this.waiting.get(query.values?.[0] ?? '');
    if (!this.connection) throw new Error('Nobody lends this connection.');
    return NOTHING;
  }
}
