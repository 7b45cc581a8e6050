import { readFileSync } from 'node:fs';
import type { PoolConfig } from 'pg';
import type { Config } from '../config.js';

/** Dependency-injection token: the URL that this process uses, given or of the embedded server. */
export const DATABASE_URL = Symbol('DATABASE_URL');

/** How long a query waits for a free connection: a burst of requests queues here, a database that is away refuses at once. */
export const POOL_WAIT_MS = 20_000;

/** How every pool and single connection of this process reaches PostgreSQL. */
export function poolOptions(url: string, config: Pick<Config, 'DATABASE_CA_FILE'>): PoolConfig {
  return {
    connectionString: url,
    connectionTimeoutMillis: POOL_WAIT_MS,
    keepAlive: true,
    ...(config.DATABASE_CA_FILE && { ssl: { ca: readFileSync(config.DATABASE_CA_FILE, 'utf8'), rejectUnauthorized: true } }),
  };
}
