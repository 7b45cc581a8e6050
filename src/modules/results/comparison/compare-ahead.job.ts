import { Injectable } from '@nestjs/common';
import { AppError, type ErrorCode } from '../../../kernel/errors.js';
import { HandBack, JobHandler, type JobContext } from '../../../platform/queue/job.js';
import { ResultsStore } from '../results.store.js';
import { AlignmentService } from './alignment.service.js';
import type { ResultComparable } from './comparable-event.js';
import { ComparisonService } from './comparison.service.js';

const AGAIN_MS = 30_000;
/** Of results or studies that are gone, or of a moment that has other work; nothing is lost, because a report that finds no alignment makes it. */
const PASSING: ReadonlySet<string> = new Set<ErrorCode>(['overloaded', 'too-many-requests', 'shutting-down', 'database-unavailable', 'storage-unavailable']);

/** Lays a new result's images upon those of the study before, so that the first report has the comparison. */
@Injectable()
export class CompareAheadJob extends JobHandler<ResultComparable> {
  constructor(
    private readonly results: ResultsStore,
    private readonly comparisons: ComparisonService,
    private readonly alignments: AlignmentService,
  ) {
    super();
  }

  async handle({ institutionId, resultId }: ResultComparable, { signal }: JobContext): Promise<void> {
    const record = await this.results.find(institutionId, resultId);
    if (!record || record.status === 'withheld') return;
    try {
      const prior = (await this.comparisons.history(record)).at(-2);
      if (prior) await this.alignments.of(record, prior.record);
    } catch (error) {
      if (signal.aborted || (error instanceof AppError && PASSING.has(error.code))) throw new HandBack(AGAIN_MS);
      // The study was deleted meanwhile.
      if (!(error instanceof AppError) || error.code !== 'study-not-found') throw error;
    }
  }
}
