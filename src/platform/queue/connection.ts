import { Inject, Injectable, Module, type OnApplicationShutdown } from '@nestjs/common';
import { createPostgresBackend, setDefaultBackendFactory, type Queue, type QueueOptions } from 'bullmq';
import { CONFIG, type Config } from '../config.js';
import { DATABASE_URLS, poolOptions, type DatabaseUrls } from '../database/connection.js';
import { Metrics } from '../ops/metrics.js';
import { redisOptions } from '../redis.js';
import { QueuePool } from './queue-pool.js';

/** Of every key that BullMQ has in Redis. */
export const QUEUE_PREFIX = 'healthvision';

/** The way of all queues and workers of this process to what they are kept in. */
@Injectable()
export class QueueConnection implements OnApplicationShutdown {
  /**
   * Options for every queue and worker; BullMQ's backend is selected as a side effect, because @nestjs/bullmq offers no way to hand a backend to a
   * constructor.
   */
  readonly options: QueueOptions;
  private readonly pool: QueuePool | undefined;

  constructor(@Inject(CONFIG) config: Config, @Inject(DATABASE_URLS) { systemUrl }: DatabaseUrls, { databasePools }: Metrics) {
    if (config.QUEUE_BACKEND === 'redis') {
      setDefaultBackendFactory();
      this.options = { connection: { ...redisOptions(config), maxRetriesPerRequest: null }, prefix: QUEUE_PREFIX };
      return;
    }
    setDefaultBackendFactory(createPostgresBackend);
    this.pool = new QueuePool(poolOptions(systemUrl, config));
    databasePools.watch('queue', this.pool.counts);
    this.options = { connection: this.pool };
  }

  /** Says that this process takes jobs of a queue. In Redis BullMQ's connections do. */
  consume(queue: string): void {
    this.pool?.consume(queue);
  }

  /** How many processes take jobs of it. */
  consumersOf(queue: Queue): Promise<number> {
    return this.pool ? this.pool.consumersOf(queue.name) : queue.getWorkersCount();
  }

  /** After the workers, which end before. */
  async onApplicationShutdown(): Promise<void> {
    await this.pool?.end();
  }
}

@Module({ providers: [QueueConnection], exports: [QueueConnection] })
export class QueueConnectionModule {}
