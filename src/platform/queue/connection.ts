import { createPostgresBackend, setDefaultBackendFactory, type QueueOptions } from 'bullmq';
import { readFileSync } from 'node:fs';
import pg from 'pg';
import type { Config } from '../config.js';
import { poolOptions, type DatabaseUrls } from '../database/connection.js';
import { QUEUE_SCHEMA } from './queue-schema.js';

/** Of every key that BullMQ has in Redis. */
export const QUEUE_PREFIX = 'healthvision';

export function redisTls({ REDIS_CA_FILE }: Pick<Config, 'REDIS_CA_FILE'>): { tls?: { ca: string } } {
  return REDIS_CA_FILE ? { tls: { ca: readFileSync(REDIS_CA_FILE, 'utf8') } } : {};
}

/** A connection that breaks while BullMQ holds it fails what BullMQ asked of it; the event beside that, which BullMQ does not take, would end the process. */
export class HeldClient extends pg.Client {
  constructor(config?: string | pg.ClientConfig) {
    super(config);
    this.on('error', () => undefined);
  }
}

/**
 * Options for every queue and worker of this process; selects BullMQ's backend as a side effect, because @nestjs/bullmq
 * offers no way to hand a backend to a constructor.
 */
export function queueOptions(config: Config, { systemUrl }: DatabaseUrls): QueueOptions {
  if (config.QUEUE_BACKEND === 'redis') {
    setDefaultBackendFactory();
    return { connection: { url: config.REDIS_URL ?? '', maxRetriesPerRequest: null, ...redisTls(config) }, prefix: QUEUE_PREFIX };
  }
  setDefaultBackendFactory(createPostgresBackend);
  const connection = { ...poolOptions(systemUrl, config), schema: QUEUE_SCHEMA, migrate: false, max: 4, Client: HeldClient };
  // QueueOptions is typed for Redis; the PostgreSQL backend reads the pool options that stand here.
  return { connection: connection };
}
