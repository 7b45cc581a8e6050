import type { Writable } from 'node:stream';
import type pg from 'pg';
import { Prisma } from '../../generated/prisma/client.js';
import { soon } from '../ops/soon.js';
import { translateDirect } from './database-errors.js';
import type { LentConnections, Loan } from './lent-connections.js';

/** The institution, and the name of the scope; either may be empty. */
export type ScopeSettings = [institution: string, name: string];

/** What row-level security asks for, until the transaction ends. */
export const SCOPE_SQL = `SELECT set_config('app.institution_id', $1, true), set_config('app.scope', $2, true)`;

export interface TransactionOptions {
  /** undefined leaves the scope as the login has it. */
  settings: ScopeSettings | undefined;
  types: pg.CustomTypesConfig;
  nameOf: (sql: string) => string;
  lent: LentConnections;
}

/** A connection that does not answer by then is given up. */
const ROLLBACK_MS = 2_000;

type Answer = pg.QueryResult<Record<string, unknown>>;
type Query = TemplateStringsArray | Prisma.Sql;

/**
 * A transaction on a connection of its own. BEGIN, scope and the first statement travel together; statements that are written out go straight to the connection, for
 * the way through Prisma's client costs more than most of them cost PostgreSQL. That client is lent the connection when a model is first asked for.
 */
export class OpenTransaction {
  private readonly begun: Promise<unknown>;
  private loan: Promise<Loan> | undefined;
  private isOver = false;
  /** PostgreSQL's first refusal: it takes nothing after it. */
  private refusal: Error | undefined;

  constructor(private readonly connection: pg.PoolClient, private readonly options: TransactionOptions) {
    const { settings } = options;
    inOnePiece(connection);
    this.begun = Promise.all([connection.query('BEGIN'), settings && connection.query({ name: 'scope', text: SCOPE_SQL, values: settings })]).catch((error: unknown) => { throw translateDirect(error); });
    // It is waited for at the end.
    this.begun.catch(() => undefined);
  }

  /** Prisma's client, as far as stores use it in a transaction. */
  readonly client: Prisma.TransactionClient = new Proxy({} as Prisma.TransactionClient, {
    get: (_, key): unknown => {
      if (key === '$queryRaw') return async (query: Query, ...values: unknown[]): Promise<object[]> => (await this.ask(query, values)).rows;
      if (key === '$executeRaw') return async (query: Query, ...values: unknown[]): Promise<number> => (await this.ask(query, values)).rowCount ?? 0;
      // A promise would be asked for `then`.
      return typeof key === 'string' && key !== 'then' ? this.model(key) : undefined;
    },
  });

  /** @throws what `work` throws, or PostgreSQL's first refusal, even where `work` has passed over it; the transaction is open then */
  async run<T>(work: (client: Prisma.TransactionClient) => Promise<T>): Promise<T> {
    // Where it did not begin, what comes after it fails for that reason.
    const value = await work(this.client).catch(async (error: unknown) => { await this.begun; throw error; });
    await this.close();
    await this.begun;
    if (this.refusal !== undefined) throw this.refusal;
    await this.connection.query('COMMIT').catch((error: unknown) => { throw translateDirect(error); });
    return value;
  }

  /** Takes nothing any more. @returns whether the connection can be used again */
  async rollBack(): Promise<boolean> {
    return (await soon(this.close().then(() => this.connection.query('ROLLBACK')), ROLLBACK_MS)) !== undefined;
  }

  private async close(): Promise<void> {
    this.isOver = true;
    const loan = await this.loan?.catch(() => undefined);
    await loan?.giveBack();
  }

  private async ask(query: Query, given: unknown[]): Promise<Answer> {
    const { text, values } = 'raw' in query ? Prisma.sql(query, ...given) : query;
    return this.send({ name: this.options.nameOf(text), text, values, types: this.options.types }).catch((error: unknown) => { throw translateDirect(error); });
  }

  private async send(query: pg.QueryConfig): Promise<Answer> {
    this.refuseIfOver();
    try {
      return await this.connection.query<Record<string, unknown>>(query);
    } catch (error) {
      if (error instanceof Error) this.refusal ??= error;
      throw error;
    }
  }

  private model(name: string): unknown {
    return new Proxy({}, {
      get: (_, method): unknown => async (given: unknown) => {
        this.refuseIfOver();
        this.loan ??= this.options.lent.lend({ query: ((query: pg.QueryConfig) => this.send(query)) as pg.ClientBase['query'] });
        const { client } = await this.loan;
        // Prisma's types are those of `client`; stores see them.
        const models = client as unknown as Record<string, Record<string | symbol, (args: unknown) => Promise<unknown>>>;
        return models[name]?.[method]?.(given);
      },
    });
  }

  private refuseIfOver(): void {
    if (this.isOver) throw new Error('The transaction is over.');
  }
}

/** What is sent in this turn of the event loop leaves together. */
function inOnePiece(connection: pg.PoolClient): void {
  // Its socket, which node-postgres' types leave out.
  const { connection: { stream } } = connection as unknown as { connection: { stream: Writable } };
  stream.cork();
  process.nextTick(() => { stream.uncork(); });
}
