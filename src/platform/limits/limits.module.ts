import { Inject, Injectable, Module, type OnApplicationShutdown } from '@nestjs/common';
import { CONFIG, type Config } from '../config.js';
import { Database } from '../database/database.js';
import { LOGGER, type Logger } from '../ops/logger.js';
import { Metrics } from '../ops/metrics.js';
import { PostgresWindows } from './postgres-windows.store.js';
import { RateLimiter } from './rate-limiter.js';
import { RedisWindows } from './redis-windows.js';
import { RequestLimits } from './request-limits.js';
import { SignInLimits } from './sign-in-limits.js';
import { WindowStore } from './window-store.js';

@Injectable()
class RedisClosing implements OnApplicationShutdown {
  constructor(@Inject(WindowStore) private readonly store: WindowStore) {}

  onApplicationShutdown(): void {
    if (this.store instanceof RedisWindows) this.store.close();
  }
}

/** Rate limits, counted where the queues are: in PostgreSQL or in Redis. */
@Module({
  providers: [
    {
      provide: WindowStore, inject: [CONFIG, Database],
      useFactory: (config: Config, database: Database): WindowStore => (config.QUEUE_BACKEND === 'redis' ? new RedisWindows(config) : new PostgresWindows(database)),
    },
    {
      provide: RateLimiter, inject: [WindowStore, LOGGER, Metrics],
      useFactory: (store: WindowStore, logger: Logger, metrics: Metrics): RateLimiter => new RateLimiter(store, logger, { away: (isAway) => { metrics.rateLimitStoreAway.set(isAway ? 1 : 0); } }),
    },
    RedisClosing, RequestLimits, SignInLimits,
  ],
  exports: [RequestLimits, SignInLimits],
})
export class LimitsModule {}
