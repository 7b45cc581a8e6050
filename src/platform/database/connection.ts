import { readFileSync } from 'node:fs';
import type { ClientConfig, PoolConfig } from 'pg';
import type { Config } from '../config.js';

/** How the processes reach the database: under one login in the scope of an institution, under another where they serve all of them. */
export interface DatabaseUrls {
  readonly appUrl: string;
  /** The same as `appUrl` where the server grants us one login only. */
  readonly systemUrl: string;
}

/** Dependency-injection token of the `DatabaseUrls` of this process. */
export const DATABASE_URLS = Symbol('DatabaseUrls');

/** How long a query waits for a free connection: a burst of requests queues here, a database that is away refuses at once. */
const POOL_WAIT_MS = 20_000;

/** How every pool and single connection of this process reaches PostgreSQL. */
export function poolOptions(url: string, config: Pick<Config, 'DATABASE_CA_FILE'>): PoolConfig {
  return {
    connectionString: url,
    connectionTimeoutMillis: POOL_WAIT_MS,
    keepAlive: true,
    ...(config.DATABASE_CA_FILE && { ssl: tlsOf(config) }),
  };
}

/** How TLS is spoken, where the URL does not say enough. */
export function tlsOf({ DATABASE_CA_FILE }: Pick<Config, 'DATABASE_CA_FILE'>): Exclude<ClientConfig['ssl'], undefined | boolean> | undefined {
  return DATABASE_CA_FILE === undefined ? undefined : { ca: readFileSync(DATABASE_CA_FILE, 'utf8'), rejectUnauthorized: true };
}

/** The same database under another login. Not by the class URL, which refuses `postgresql://user@/name?host=/socket`. */
export function asLogin(url: string, user: string, password: string): string {
  const [, scheme = '', place = ''] = /^(postgres(?:ql)?:\/\/)(?:[^@/?]*@)?(.*)$/s.exec(url) ?? [];
  // In the query they would go before what stands in front.
  const [path = '', query] = place.split('?');
  const kept = (query ?? '').split('&').filter((part) => part !== '' && !/^(user|password)=/i.test(part));
  return `${scheme}${encodeURIComponent(user)}:${encodeURIComponent(password)}@${path}${kept.length === 0 ? '' : `?${kept.join('&')}`}`;
}
