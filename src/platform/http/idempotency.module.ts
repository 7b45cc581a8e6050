import { Global, Inject, Injectable, Module, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { CryptoModule } from '../crypto/crypto.module.js';
import { LOGGER, type Logger } from '../ops/logger.js';
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

/** What every `@Idempotent()` route of the process remembers its answers with. */
@Global()
@Module({
  imports: [CryptoModule],
  providers: [IdempotencyStore, IdempotencyPruner],
  exports: [IdempotencyStore],
})
export class IdempotencyModule {}
