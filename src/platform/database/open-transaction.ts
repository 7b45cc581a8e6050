import pg from 'pg';
import { Prisma } from '../../generated/prisma/client.js';
import { isInFailedTransaction, translateDirect } from './database-errors.js';
import type { LentConnections, Loan } from './lent-connections.js';
import { inOneTrip, type TripStatement } from './one-trip.js';

export interface TransactionOptions {
  /** What tells PostgreSQL the scope. */
  opening: readonly TripStatement[];
  types: pg.CustomTypesConfig;
  nameOf: (sql: string) => string;
  lent: LentConnections;
}

const BEGIN: TripStatement = { name: 'begin', text: 'BEGIN', values: [] };

interface Answer { rows: unknown[]; rowCount: number | null }
const NOTHING: Answer = { rows: [], rowCount: 0 };
type Query = TemplateStringsArray | Prisma.Sql;

/**
 * A transaction on a connection of its own. BEGIN, scope and the first statement are one trip, so that nothing is done where one of them is refused. Statements that are
 * written out go straight to the connection, for the way through Prisma's client costs more than most of them cost PostgreSQL. That client is lent the connection when a
 * model is first asked for.
 */
export class OpenTransaction {
  /** The first trip. */
  private begun: Promise<unknown> | undefined;
  private hasBegun = false;
  private loan: Promise<Loan> | undefined;
  /** Nothing is taken any more. */
  private isOver = false;
  /** Nothing is sent any more: COMMIT or ROLLBACK is on its way. */
  private isClosed = false;
  /** The first thing that failed, if it was not for the failure of another: PostgreSQL takes nothing after it. */
  private refusal: Error | undefined;
  /** Something failed that PostgreSQL did not say: what it knows of the connection's statements is not what we know. */
  private isBroken = false;

  constructor(private readonly connection: pg.PoolClient, private readonly options: TransactionOptions) {}

  /** Prisma's client, as far as stores use it in a transaction. */
  readonly client: Prisma.TransactionClient = new Proxy({} as Prisma.TransactionClient, {
    get: (_, key): unknown => {
      if (key === '$queryRaw') return async (query: Query, ...values: unknown[]): Promise<unknown[]> => (await this.ask(query, values)).rows;
      if (key === '$executeRaw') return async (query: Query, ...values: unknown[]): Promise<number> => (await this.ask(query, values)).rowCount ?? 0;
      // A promise would be asked for `then`.
      return typeof key === 'string' && key !== 'then' ? this.model(key) : undefined;
    },
  });

  /** @throws what `work` throws, or what failed first, even where `work` has passed over it; it must be rolled back then */
  async run<T>(work: () => Promise<T>): Promise<T> {
    const value = await work().catch((error: unknown) => this.tellCause(error));
    this.isOver = true;
    // What waits for the first trip goes out before the end.
    await this.begun?.catch(() => undefined);
    await this.endLoan();
    if (this.refusal !== undefined) throw translateDirect(this.refusal);
    if (this.begun !== undefined) await this.commit();
    return value;
  }

  /** Sends a statement that nobody waits for: what PostgreSQL says against it, the transaction ends with. */
  sendAlong(sql: Prisma.Sql): void {
    this.refuseIfOver();
    this.ask(sql, []).catch(() => undefined);
  }

  /** Takes nothing any more, COMMIT neither. @returns when PostgreSQL has undone it: whether the connection is of use to others */
  async rollBack(): Promise<boolean> {
    this.isOver = this.isClosed = true;
    await this.endLoan();
    if (this.begun !== undefined) await this.connection.query('ROLLBACK');
    return !this.isBroken;
  }

  private async commit(): Promise<void> {
    if (this.isClosed) throw over();
    this.isClosed = true;
    const { command } = await this.connection.query('COMMIT').catch((error: unknown) => { throw translateDirect(error); });
    if (command === 'COMMIT') return;
    // PostgreSQL's answer where it had refused something that nobody waited for.
    await untilAllIsTold();
    throw translateDirect(this.refusal ?? new Error(`COMMIT was answered with ${command}`));
  }

  /** What comes after something that failed fails, too. */
  private async tellCause(error: unknown): Promise<never> {
    if (!isInFailedTransaction(error)) throw error;
    await untilAllIsTold();
    throw this.refusal ? translateDirect(this.refusal) : error;
  }

  private async endLoan(): Promise<void> {
    const loan = await this.loan?.catch(() => undefined);
    await loan?.giveBack();
  }

  private async ask(query: Query, given: unknown[]): Promise<Answer> {
    this.refuseIfOver();
    const { text, values } = 'raw' in query ? Prisma.sql(query, ...given) : query;
    const answers = await this.send([{ name: this.options.nameOf(text), text, values }]).catch((error: unknown) => { throw translateDirect(error); });
    return answers.at(-1) ?? NOTHING;
  }

  private async send(statements: readonly TripStatement[]): Promise<Answer[]> {
    const { opening, types } = this.options;
    if (!this.begun) {
      const first = this.answerOf(() => inOneTrip(this.connection, [BEGIN, ...opening, ...statements], types));
      this.begun = first.then(() => { this.hasBegun = true; });
      this.begun.catch(() => undefined);
      return first;
    }
    // Where it has not begun, the next one would be a transaction of its own.
    if (!this.hasBegun) await this.begun;
    if (this.isClosed) throw over();
    return this.answerOf(() => inOneTrip(this.connection, statements, types));
  }

  private async answerOf<T>(sent: () => Promise<T>): Promise<T> {
    try {
      return await sent();
    } catch (error) {
      if (error instanceof Error && !isInFailedTransaction(error)) this.refusal ??= error;
      this.isBroken ||= !(error instanceof pg.DatabaseError);
      throw error;
    }
  }

  private model(name: string): unknown {
    return new Proxy({}, {
      get: (_, method): unknown => async (given: unknown) => {
        this.refuseIfOver();
        await (this.begun ?? this.send([])).catch((error: unknown) => { throw translateDirect(error); });
        this.refuseIfOver();
        this.loan ??= this.options.lent.lend({ query: ((query: pg.QueryConfig) => this.askOfLoan(query)) as pg.ClientBase['query'] });
        const { client } = await this.loan;
        // Prisma's types are those of `client`; stores see them.
        const model = (client as unknown as Record<string, Record<string | symbol, (args: unknown) => Promise<unknown>>>)[name];
        const action = model?.[method];
        if (!action) throw new Error(`A transaction has no ${name}.${String(method)}`);
        return action.call(model, given);
      },
    });
  }

  private async askOfLoan(query: pg.QueryConfig): Promise<unknown> {
    this.refuseIfOver();
    return this.answerOf(() => this.connection.query(query));
  }

  private refuseIfOver(): void {
    if (this.isOver) throw over();
  }
}

function over(): Error {
  return new Error('The transaction is over.');
}

/** Errors that came in one piece reach us by ways of different length. */
function untilAllIsTold(): Promise<void> {
  return new Promise((resolve) => { setImmediate(resolve); });
}
