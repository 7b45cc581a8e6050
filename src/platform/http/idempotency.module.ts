import { Inject, Injectable, Module, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { APP_INTERCEPTOR } from '@nestjs/core';
import { CryptoModule } from '../crypto/crypto.module.js';
import { LOGGER, type Logger } from '../ops/logger.js';
import { IdempotencyInterceptor } from './idempotency.interceptor.js';
import { IdempotencyStore } from './idempotency.store.js';

const PRUNE_MS = 3_600_000;

/** Forgets old answers once an hour; several processes doing so do no harm. */
@Injectable()
class IdempotencyPruner implements OnModuleInit, OnApplicationShutdown {
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly store: IdempotencyStore,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  onModuleInit(): void {
    this.timer = setInterval(() => {
      this.store.prune().catch((err: unknown) => { this.logger.warn({ err }, 'old idempotency records could not be removed'); });
    }, PRUNE_MS);
    this.timer.unref();
  }

  onApplicationShutdown(): void {
    clearInterval(this.timer);
  }
}

/** Makes every `@Idempotent()` route of the process honour `Idempotency-Key`. */
@Module({
  imports: [CryptoModule],
  providers: [IdempotencyStore, IdempotencyPruner, { provide: APP_INTERCEPTOR, useClass: IdempotencyInterceptor }],
})
export class IdempotencyModule {}
