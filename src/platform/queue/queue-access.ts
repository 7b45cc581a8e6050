import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { Queue, type QueueOptions } from 'bullmq';
import { Redis } from 'ioredis';
import { AppError } from '../../kernel/errors.js';
import { withinTime } from '../../kernel/within-time.js';
import { CONFIG, type Config } from '../config.js';
import { redisOptions } from '../redis.js';
import { QUEUE_PREFIX, QueueConnection } from './connection.js';

/** Dependency-injection token: the names of all queues of the installation. */
export const QUEUE_NAMES = Symbol('queue names');

/** Looking at a queue has time; whoever asks should hear soon that it is away. */
const PATIENCE_MS = 5_000;

/** Every queue of the installation over few connections, for those who look at queues and repair them: in any role. Made when first asked for. */
@Injectable()
export class QueueAccess implements OnApplicationShutdown {
  private readonly queues = new Map<string, Queue>();
  private options: QueueOptions | undefined;
  private closeConnection: () => Promise<unknown> = () => Promise.resolve();

  constructor(
    @Inject(QUEUE_NAMES) readonly names: readonly string[],
    @Inject(CONFIG) private readonly config: Config,
    private readonly connection: QueueConnection,
  ) {}

  /** @throws AppError `queue-not-found` */
  queue(name: string): Queue {
    if (!this.names.includes(name)) throw new AppError('queue-not-found');
    let queue = this.queues.get(name);
    if (!queue) {
      this.options ??= this.config.QUEUE_BACKEND === 'redis' ? this.overRedis() : this.connection.options;
      queue = new Queue(name, this.options);
      // Whoever asks hears of it.
      queue.on('error', () => undefined);
      this.queues.set(name, queue);
    }
    return queue;
  }

  /** Asks one queue. @throws AppError `queue-not-found`, `queue-unavailable` */
  async ask<T>(name: string, question: (queue: Queue) => Promise<T>): Promise<T> {
    const queue = this.queue(name);
    try {
      return await withinTime(question(queue), PATIENCE_MS, () => new AppError('queue-unavailable'));
    } catch (error) {
      throw error instanceof AppError ? error : new AppError('queue-unavailable', { cause: error });
    }
  }

  async onApplicationShutdown(): Promise<void> {
    await Promise.all([...this.queues.values()].map((queue) => queue.close().catch(() => undefined)));
    await this.closeConnection();
  }

  private overRedis(): QueueOptions {
    const redis = new Redis({ ...redisOptions(this.config), connectionName: 'healthvision-queues', maxRetriesPerRequest: 1, connectTimeout: 2_000 });
    redis.on('error', () => undefined);
    redis.setMaxListeners(0);
    this.closeConnection = () => { redis.disconnect(); return Promise.resolve(); };
    return { connection: redis, prefix: QUEUE_PREFIX };
  }
}
