import type { DomainEvent } from '../../platform/queue/outbox.js';
import { ANALYSIS_FAILED, ANALYSIS_NOT_ANALYSABLE, ANALYSIS_REQUESTED, ANALYSIS_SUCCEEDED, RESULT_CRITICAL, RESULT_READY, RESULT_WITHHELD, type AnalysisEnded, type AnalysisRequested, type ResultReady } from './analysis.contract.js';
import { CLINICAL, type Ending, type RunRow } from './runs.store.js';

/** Live-channel topics; the key is the run's id. */
export const RUN_CHANGED = 'analysis';
export const RUN_CANCELLED = 'analysis-cancel';

/** Of the job, which wakes a worker: what it computes then, the rows decide. BullMQ serves jobs without a priority first, so every one has one. */
const QUEUE_PRIORITY: Readonly<Record<string, number>> = { stat: 1, routine: 10, research: 100 };

export function requested({ institutionId, id, priority }: Pick<RunRow, 'institutionId' | 'id' | 'priority'>): DomainEvent {
  const payload: AnalysisRequested = { institutionId, analysisId: id };
  return { institutionId, topic: ANALYSIS_REQUESTED, payload, priority: QUEUE_PRIORITY[priority] ?? 10 };
}

/** What the others are told of a run's end; of a cancelled one, and of one that is not for people, nobody is told. */
export function ended({ institutionId, id, studyInstanceUid, analysis, purpose }: RunRow, { status, resultId }: Ending, { critical = false, withheld = false } = {}): DomainEvent[] {
  if (purpose !== CLINICAL) return [];
  const payload: AnalysisEnded = { institutionId, analysisId: id, studyInstanceUid, analysis, resultId: resultId ?? null };
  switch (status) {
    case 'cancelled':
      return [];
    case 'failed':
      return [{ institutionId, topic: ANALYSIS_FAILED, payload }];
    case 'not-analysable':
      return [{ institutionId, topic: ANALYSIS_NOT_ANALYSABLE, payload }];
    case 'succeeded': {
      if (resultId === undefined) return [{ institutionId, topic: ANALYSIS_SUCCEEDED, payload }];
      const ready: ResultReady = { institutionId, resultId, analysisId: id, studyInstanceUid, analysis };
      return [
        { institutionId, topic: ANALYSIS_SUCCEEDED, payload },
        { institutionId, topic: withheld ? RESULT_WITHHELD : RESULT_READY, payload: ready },
        ...(critical && !withheld ? [{ institutionId, topic: RESULT_CRITICAL, payload: ready, priority: 1 }] : []),
      ];
    }
  }
}
