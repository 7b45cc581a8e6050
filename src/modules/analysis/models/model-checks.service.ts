import { Inject, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { AppError } from '../../../kernel/errors.js';
import { ComputePool } from '../../../platform/compute/compute-pool.js';
import { ExecutionProviders } from '../../../platform/compute/execution-providers.service.js';
import { LOGGER, type Logger } from '../../../platform/ops/logger.js';
import { ModelCache } from './model-cache.service.js';
import { ModelFilesStore } from './model-files.store.js';
import type { InstalledModel } from './model-folder.js';
import { ModelsService } from './models.service.js';
import { ModelsStore } from './models.store.js';

/** Faults of the moment, which say nothing of the model. */
const PASSING = new Set(['shutting-down', 'thread-lost', 'database-unavailable', 'storage-unavailable', 'storage-full']);

/** Models that nobody tried yet, or that failed before, are loaded and tried on a made-up image: those of MODELS_DIR at a worker's start, uploaded ones when they come, and those that are still untried at a worker's start. */
@Injectable()
export class ModelChecks implements OnApplicationBootstrap {
  constructor(
    private readonly models: ModelsService,
    private readonly cache: ModelCache,
    private readonly files: ModelFilesStore,
    private readonly store: ModelsStore,
    private readonly compute: ComputePool,
    private readonly providers: ExecutionProviders,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    // A worker that lacks its GPU would reject them all.
    if (!(await this.providers.isMet())) return;
    for (const model of this.models.all()) {
      const row = await this.store.findByDigest(model.digest);
      if (!row || !['checking', 'rejected'].includes(row.state)) continue;
      // A passing fault leaves the model to the next start.
      await this.check(model.digest, () => Promise.resolve(model)).catch(() => undefined);
    }
    // Those whose job gave up, or went with a queue. Others may be large; nobody waits for them.
    void this.checkForgotten().catch((err: unknown) => { this.logger.warn({ err }, 'uploaded models could not be looked through'); });
  }

  private async checkForgotten(): Promise<void> {
    for (const digest of await this.files.unchecked()) await this.checkUploaded(digest).catch(() => undefined);
  }

  /** @throws AppError for faults of the moment: try again */
  async checkUploaded(digest: string): Promise<void> {
    const row = await this.store.findByDigest(digest);
    if (row?.state === 'checking') await this.check(digest, () => this.cache.fetch(digest));
  }

  private async check(digest: string, files: () => Promise<InstalledModel | undefined>): Promise<void> {
    try {
      const model = await files();
      if (!model) return;
      const { name, version, domain } = model.manifest;
      const { executionProvider } = await this.compute.check(model);
      const state = await this.store.conclude(digest, domain, null);
      this.logger.info({ model: name, version, state, executionProvider }, 'model passed its checks');
    } catch (err) {
      const reason = err instanceof AppError ? { code: err.code, detail: err.message } : { code: 'internal', detail: 'The model could not be tried' };
      this.logger.warn({ err, digest, reason }, 'model did not pass its checks');
      if (PASSING.has(reason.code)) throw err;
      await this.store.conclude(digest, null, reason);
    }
  }
}
