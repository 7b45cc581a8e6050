import { AsyncLocalStorage } from 'node:async_hooks';
import pg from 'pg';

/** The institution, and the name of the scope; either may be empty. */
export type ScopeSettings = [institution: string, name: string];

/** What row-level security asks for, until the transaction ends. */
export const SCOPE_SQL = `SELECT set_config('app.institution_id', $1, true), set_config('app.scope', $2, true)`;

const scopes = new AsyncLocalStorage<ScopeSettings | undefined>();

/** Every transaction that begins on a `ScopedClient` in `work` has this scope from its first statement on; undefined leaves it as the login has it. */
export function inScope<T>(settings: ScopeSettings | undefined, work: () => Promise<T>): Promise<T> {
  return scopes.run(settings, work);
}

/** A connection that sends the scope along with BEGIN, so that it costs no round trip of its own. The pool must have `pipeline`. */
export class ScopedClient extends pg.Client {
  // The overloads of node-postgres, of which a transaction's BEGIN takes the one with a promise.
  override query = ((...given: [unknown, ...unknown[]]): unknown => {
    const forward = super.query.bind(this) as (...parameters: unknown[]) => unknown;
    const answer = forward(...given);
    const settings = isBegin(given[0]) ? scopes.getStore() : undefined;
    if (settings === undefined) return answer;
    return Promise.all([answer, forward({ name: 'scope', text: SCOPE_SQL, values: settings })]).then(([begun]) => begun);
  }) as pg.Client['query'];
}

function isBegin(query: unknown): boolean {
  return typeof query === 'object' && query !== null && 'text' in query && query.text === 'BEGIN';
}
