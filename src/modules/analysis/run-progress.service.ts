import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { LOGGER, type Logger } from '../../platform/ops/logger.js';
import { ClaimsStore, type Claim, type Progress } from './claims.store.js';

/** Progress is written no more often than this, for all runs of the process at once. */
const WRITE_MS = 500;

/** How far the runs of this process are, for those who watch. A courtesy: nothing waits for it, and nothing fails by it. */
@Injectable()
export class RunProgress implements OnApplicationShutdown {
  private readonly latest = new Map<string, Progress>();
  private timer: NodeJS.Timeout | undefined;
  private writing: Promise<void> = Promise.resolve();

  constructor(
    private readonly claims: ClaimsStore,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  report(claim: Claim, stage: string, progress: number): void {
    this.latest.set(claim.id, { claim, stage, progress });
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      this.writing = this.writing.then(() => this.write());
    }, WRITE_MS).unref();
  }

  /** Of a run that is over nothing more is told. */
  forget({ id, fence }: Claim): void {
    if (this.latest.get(id)?.claim.fence === fence) this.latest.delete(id);
  }

  async onApplicationShutdown(): Promise<void> {
    clearTimeout(this.timer);
    await this.writing;
  }

  private async write(): Promise<void> {
    const runs = [...this.latest.values()];
    this.latest.clear();
    if (runs.length === 0) return;
    try {
      await this.claims.progress(runs);
    } catch (err) {
      this.logger.debug({ err }, 'progress not written');
    }
  }
}
