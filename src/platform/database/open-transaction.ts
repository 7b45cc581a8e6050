import type pg from 'pg';
import { Prisma } from '../../generated/prisma/client.js';
import { isInFailedTransaction, translateDirect } from './database-errors.js';
import type { LentConnections, Loan } from './lent-connections.js';
import { inOneTrip, type TripStatement } from './one-trip.js';

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
  /** What nobody waits for. */
  private readonly along: Promise<unknown>[] = [];
  /** Nothing is taken any more. */
  private isOver = false;
  /** The connection may be another's. */
  private isGivenUp = false;
  /** PostgreSQL's first refusal: it takes nothing after it. */
  private refusal: Error | undefined;

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

  /** @throws what `work` throws, or PostgreSQL's first refusal, even where `work` has passed over it; it must be rolled back then */
  async run<T>(work: () => Promise<T>): Promise<T> {
    const value = await work().catch((error: unknown) => this.tellCause(error));
    // What waits for the first trip goes out before the end.
    await this.begun;
    await this.close();
    if (this.refusal !== undefined) throw translateDirect(this.refusal);
    if (this.begun !== undefined) await this.commit();
    return value;
  }

  /** Sends a statement that nobody waits for: what PostgreSQL says against it, the transaction ends with. */
  sendAlong(sql: Prisma.Sql): void {
    this.refuseIfOver();
    const answer = this.ask(sql, []);
    answer.catch(() => undefined);
    this.along.push(answer);
  }

  /** Takes nothing any more, COMMIT neither. @returns when PostgreSQL has undone it; the connection is of use to others then */
  async rollBack(): Promise<void> {
    this.isGivenUp = true;
    await this.close();
    if (this.begun !== undefined) await this.connection.query('ROLLBACK');
  }

  private async commit(): Promise<void> {
    if (this.isGivenUp) throw over();
    const { command } = await this.connection.query('COMMIT').catch((error: unknown) => { throw translateDirect(error); });
    await Promise.all(this.along);
    // PostgreSQL's answer where it had refused something.
    if (command !== 'COMMIT') throw translateDirect(this.refusal ?? new Error(`COMMIT was answered with ${command}`));
  }

  /** What comes after something that was refused is refused, too. */
  private async tellCause(error: unknown): Promise<never> {
    // All that came in one piece has been told by then.
    if (isInFailedTransaction(error)) await new Promise((resolve) => { setImmediate(resolve); });
    throw isInFailedTransaction(error) && this.refusal ? translateDirect(this.refusal) : error;
  }

  private async close(): Promise<void> {
    this.isOver = true;
    const loan = await this.loan?.catch(() => undefined);
    await loan?.giveBack();
  }

  private async ask(query: Query, given: unknown[]): Promise<Answer> {
    const { text, values } = 'raw' in query ? Prisma.sql(query, ...given) : query;
    const answers = await this.send([{ name: this.options.nameOf(text), text, values }]).catch((error: unknown) => { throw translateDirect(error); });
    return answers.at(-1) ?? NOTHING;
  }

  private async send(statements: readonly TripStatement[]): Promise<Answer[]> {
    const { settings, types } = this.options;
    if (!this.begun) {
      const first = this.answerOf(() => inOneTrip(this.connection, [BEGIN, ...(settings ? [{ name: 'scope', text: SCOPE_SQL, values: settings }] : []), ...statements], types));
      this.begun = first.then(() => { this.hasBegun = true; });
      this.begun.catch(() => undefined);
      return first;
    }
    // Where it has not begun, the next one would be a transaction of its own.
    if (!this.hasBegun) await this.begun;
    return this.answerOf(() => inOneTrip(this.connection, statements, types));
  }

  private async answerOf<T>(sent: () => Promise<T>): Promise<T> {
    this.refuseIfOver();
    try {
      return await sent();
    } catch (error) {
      if (error instanceof Error) this.refusal ??= error;
      throw error;
    }
  }

  private model(name: string): unknown {
    return new Proxy({}, {
      get: (_, method): unknown => async (given: unknown) => {
        this.refuseIfOver();
        await (this.begun ?? this.send([]));
        this.loan ??= this.options.lent.lend({ query: ((query: pg.QueryConfig) => this.answerOf(() => this.connection.query(query))) as pg.ClientBase['query'] });
        const { client } = await this.loan;
        // Prisma's types are those of `client`; stores see them.
        const model = (client as unknown as Record<string, Record<string | symbol, (args: unknown) => Promise<unknown>>>)[name];
        const action = model?.[method];
        if (!action) throw new Error(`A transaction has no ${name}.${String(method)}`);
        return action.call(model, given);
      },
    });
  }

  private refuseIfOver(): void {
    if (this.isOver) throw over();
  }
}

function over(): Error {
  return new Error('The transaction is over.');
}
