import { Injectable } from '@nestjs/common';
import { Database } from '../../platform/database/database.js';
import { JobHandler } from '../../platform/queue/job.js';
import type { ResultRemoved } from '../results/results.contract.js';
import { RunNotices } from './run-notices.service.js';
import { RunsStore } from './runs.store.js';

/** A result was removed by retention: its run says so. */
@Injectable()
export class ForgetResultJob extends JobHandler<ResultRemoved> {
  constructor(
    private readonly database: Database,
    private readonly runs: RunsStore,
    private readonly notices: RunNotices,
  ) {
    super();
  }

  async handle({ institutionId, resultId, analysisId }: ResultRemoved): Promise<void> {
    await this.database.transaction({ institutionId }, (tx) => this.runs.loseResult(tx, institutionId, analysisId, resultId));
    await this.notices.changed(analysisId);
  }
}
