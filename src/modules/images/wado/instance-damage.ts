import { Inject, Injectable } from '@nestjs/common';
import { AppError } from '../../../kernel/errors.js';
import { LOGGER, type Logger } from '../../../platform/ops/logger.js';

/** Failures that speak of what is stored. */
const DAMAGE = new Set(['blob-corrupt', 'blob-missing']);

/** Names the instance whose bytes are damaged, in the log and to the caller: nothing else tells which of a study it was. */
@Injectable()
export class InstanceDamage {
  constructor(@Inject(LOGGER) private readonly logger: Logger) {}

  /** @throws what `work` throws, damage with the instance's id */
  async naming<T>(row: { id: string }, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw this.named(row, error);
    }
  }

  /** Passes pieces on. @throws what `pieces` throws, damage with the instance's id */
  async *namingIn<T>(row: { id: string }, pieces: AsyncIterable<T>): AsyncGenerator<T> {
    try {
      yield* pieces;
    } catch (error) {
      throw this.named(row, error);
    }
  }

  private named({ id }: { id: string }, error: unknown): unknown {
    if (!(error instanceof AppError) || !DAMAGE.has(error.code)) return error;
    this.logger.error({ err: error, instanceId: id }, 'a stored instance is damaged');
    return new AppError(error.code, { detail: `Instance ${id} is damaged.`, cause: error });
  }
}
