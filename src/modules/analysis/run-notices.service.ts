import { Inject, Injectable } from '@nestjs/common';
import type { DerivedFault } from '../../imaging/report/derived.js';
import { LiveChannel } from '../../platform/database/live-channel.js';
import { LOGGER, type Logger } from '../../platform/ops/logger.js';
import { Metrics } from '../../platform/ops/metrics.js';
import { noteOnSpan } from '../../platform/ops/tracing.js';
import { RUN_CANCELLED, RUN_CHANGED } from './run-events.js';
import type { Ending, RunRow } from './runs.store.js';

/** Live signal and metrics of a run that ended. */
@Injectable()
export class RunNotices {
  constructor(
    private readonly live: LiveChannel,
    private readonly metrics: Metrics,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** Never throws: the row says it all. @param seconds  from the first claim to the end */
  async tell({ id, analysis }: RunRow, { status, timings = {} }: Ending, seconds: number): Promise<void> {
    this.metrics.runs.inc({ analysis, outcome: status });
    this.metrics.wholeRunDuration.observe({ analysis, outcome: status }, Math.max(0, seconds));
    noteOnSpan({ 'healthvision.outcome': status });
    for (const [stage, ms] of Object.entries(timings)) this.metrics.runDuration.observe({ analysis, stage }, ms / 1000);
    await this.changed(id);
  }

  /** The model says that its input is unlike what it was made with. */
  strange({ analysis, modelName }: RunRow): void {
    this.metrics.strangeInputs.inc({ analysis, model: modelName });
  }

  /** For those who run the installation: a defect of ours, or images that changed under way. */
  withheld({ id: analysisId, analysis }: RunRow, faults: readonly DerivedFault[]): void {
    for (const check of new Set(faults.map((fault) => fault.check))) this.metrics.withheldResults.inc({ check });
    this.logger.error({ analysisId, analysis, faults }, 'a result is withheld');
  }

  /** Wakes the worker that computes a run, so that it looks at the row now. */
  async stopped(id: string): Promise<void> {
    await this.live.publish({ topic: RUN_CANCELLED, key: id }).catch(() => undefined);
    await this.changed(id);
  }

  async changed(id: string): Promise<void> {
    await this.live.publish({ topic: RUN_CHANGED, key: id }).catch(() => undefined);
  }
}
