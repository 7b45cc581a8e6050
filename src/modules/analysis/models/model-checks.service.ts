import { Inject, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { AppError } from '../../../kernel/errors.js';
import { ComputePool } from '../../../platform/compute/compute-pool.js';
import { LOGGER, type Logger } from '../../../platform/ops/logger.js';
import type { InstalledModel } from './model-folder.js';
import { ModelsService } from './models.service.js';
import { ModelsStore } from './models.store.js';

/** Faults of the moment, which say nothing of the model. */
const PASSING = new Set(['shutting-down', 'thread-lost', 'database-unavailable']);

/** At a worker's start: every model that nobody tried yet, or that failed before, is loaded and tried on a made-up image. */
@Injectable()
export class ModelChecks implements OnApplicationBootstrap {
  constructor(
    private readonly models: ModelsService,
    private readonly store: ModelsStore,
    private readonly compute: ComputePool,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    for (const model of this.models.all()) {
      const row = await this.store.findByDigest(model.digest);
      if (row && ['checking', 'rejected'].includes(row.state)) await this.check(model);
    }
  }

  private async check(model: InstalledModel): Promise<void> {
    const { name, version } = model.manifest;
    try {
      const { executionProvider } = await this.compute.check(model);
      const state = await this.store.conclude(model.digest, model.manifest.domain, null);
      this.logger.info({ model: name, version, state, executionProvider }, 'model passed its checks');
    } catch (err) {
      const reason = err instanceof AppError ? { code: err.code, detail: err.message } : { code: 'internal', detail: 'The model could not be tried' };
      this.logger.warn({ err, model: name, version, reason }, 'model did not pass its checks');
      if (!PASSING.has(reason.code)) await this.store.conclude(model.digest, model.manifest.domain, reason);
    }
  }
}
