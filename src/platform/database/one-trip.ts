import pg from 'pg';

/** One statement of a trip. Statements without a name are parsed every time. */
export interface TripStatement {
  name: string;
  text: string;
  values: unknown[];
}

/** What node-postgres keeps of a connection, beyond its types. */
interface Wire {
  stream: { cork(): void; uncork(): void };
  submittedNamedStatements: Record<string, string | undefined>;
  execute(portal: { portal: string }): void;
  sync(): void;
}

/** The part of node-postgres' own query that its types leave out. */
interface QueryInside {
  types: pg.CustomTypesConfig;
  _result: pg.Result;
  _results: pg.Result;
  name: string;
  text: string;
  values: unknown[];
  prepare(wire: Wire): void;
  handleCommandComplete(message: unknown, wire: Wire): void;
  handleError(error: Error, wire: Wire): void;
}

const Inside = pg.Query as unknown as new (text: string, values: unknown[], callback: (error: Error | null, result: pg.QueryResult | pg.QueryResult[]) => void) => QueryInside;

const Result = pg.Result as unknown as new (rowMode: undefined, types: pg.CustomTypesConfig) => pg.Result;

/**
 * Statements that PostgreSQL takes as one transaction without BEGIN and COMMIT: what comes before one Sync is done together or not at all, and after one that is refused
 * nothing more is done, whatever it was. Settings that one statement makes for its transaction hold for those after it.
 *
 * @see PostgreSQL, "Extended Query" and "Pipelining" in the chapter on the protocol
 */
class OneTrip extends Inside {
  private at = 0;
  private isRefused = false;

  constructor(private readonly statements: readonly TripStatement[], types: pg.CustomTypesConfig, callback: (error: Error | null, result: pg.QueryResult | pg.QueryResult[]) => void) {
    // Not as a configuration: node-postgres copies that property by property, which takes longer than all the rest.
    super('', [], callback);
    this.types = types;
    this._results = this._result = new Result(undefined, types);
  }

  submit(wire: Wire): null {
    wire.stream.cork();
    try {
      for (const statement of this.statements) {
        this.become(statement);
        this.prepare(wire);
        // A value that cannot be sent: the rest is not sent either, and this one was answered for.
        if (this.isRefused) return null;
      }
      wire.sync();
    } finally {
      // Answers come from the first one on.
      this.become(this.statements[0]);
      wire.stream.uncork();
    }
    return null;
  }

  /** After each statement: no Sync, or it would be a transaction of its own. */
  _getRows(wire: Wire): void {
    wire.execute({ portal: '' });
  }

  // The client notes for the query's name what PostgreSQL has parsed: it is that of the statement which is being answered.
  override handleCommandComplete(message: unknown, wire: Wire): void {
    super.handleCommandComplete(message, wire);
    this.at += 1;
    this.become(this.statements[this.at]);
  }

  override handleError(error: Error, wire: Wire): void {
    this.isRefused = true;
    // PostgreSQL has passed over these.
    for (const { name } of this.statements.slice(this.at)) wire.submittedNamedStatements[name] = undefined;
    super.handleError(error, wire);
  }

  private become(statement: TripStatement | undefined): void {
    if (statement) ({ name: this.name, text: this.text, values: this.values } = statement);
  }
}

/** @returns the result of each statement @throws what PostgreSQL says of the first that fails; then none was done */
export function inOneTrip(client: pg.PoolClient, statements: readonly TripStatement[], types: pg.CustomTypesConfig): Promise<pg.QueryResult[]> {
  return new Promise((resolve, reject) => {
    const trip = new OneTrip(statements, types, (error, result) => {
      if (error) reject(error);
      else resolve(Array.isArray(result) ? result : [result]);
    });
    // It is a query of node-postgres.
    client.query(trip as unknown as pg.Submittable);
  });
}
