import { Module } from '@nestjs/common';
import { ComputePool } from '../../platform/compute/compute-pool.js';
import { ExecutionProviders } from '../../platform/compute/execution-providers.service.js';
import { GpuMetrics } from '../../platform/compute/gpu-metrics.js';
import type { JobDefinition } from '../../platform/queue/job.js';
import { ImagesCoreModule } from '../images/images-core.module.js';
import { STUDY_COMPLETED, STUDY_DELETED } from '../images/images.contract.js';
import { ResultsCoreModule } from '../results/results-core.module.js';
import { RESULT_REMOVED } from '../results/results.contract.js';
import { AnalysisCoreModule } from './analysis-core.module.js';
import { ANALYSIS_REQUESTED } from './analysis.contract.js';
import { ClaimsStore } from './claims.store.js';
import { ForgetResultJob } from './forget-result.job.js';
import { ForgetStudyJob } from './forget-study.job.js';
import { CheckModelJob } from './models/check-model.job.js';
import { ModelChecks } from './models/model-checks.service.js';
import { MODEL_ADDED } from './models/model-events.js';
import { PlanJob } from './plan.job.js';
import { RecoverJob } from './recover.job.js';
import { RunEnding } from './run-ending.service.js';
import { RunExecution } from './run-execution.service.js';
import { RunNotices } from './run-notices.service.js';
import { RunOutcomes } from './run-outcomes.service.js';
import { RunProgress } from './run-progress.service.js';
import { RunJob } from './run.job.js';
import { ComputeShares } from './scheduling/compute-shares.service.js';
import { MemoryMeter } from './scheduling/memory-meter.js';
import { QueueStore } from './scheduling/queue.store.js';
import { Scheduler } from './scheduling/scheduler.service.js';

export const analysisJobs: readonly JobDefinition[] = [
  { queue: 'plan', handler: PlanJob, topics: [STUDY_COMPLETED], concurrency: 4 },
  { queue: 'run', handler: RunJob, topics: [ANALYSIS_REQUESTED], concurrency: 'configured', needs: ExecutionProviders, beginsSpans: true },
  { queue: 'check-model', handler: CheckModelJob, topics: [MODEL_ADDED], concurrency: 1, attempts: 8, needs: ExecutionProviders },
  { queue: 'recover', handler: RecoverJob, everyMs: 5_000, concurrency: 1 },
  { queue: 'forget-study', handler: ForgetStudyJob, topics: [STUDY_DELETED], concurrency: 2 },
  { queue: 'forget-result', handler: ForgetResultJob, topics: [RESULT_REMOVED], concurrency: 2 },
];

@Module({
  imports: [ImagesCoreModule, ResultsCoreModule, AnalysisCoreModule],
  providers: [ComputePool, ExecutionProviders, GpuMetrics, ModelChecks, CheckModelJob, ClaimsStore, QueueStore, ComputeShares, MemoryMeter, Scheduler, RunExecution, RunOutcomes, RunEnding, RunNotices, RunProgress, RunJob, PlanJob, RecoverJob, ForgetStudyJob, ForgetResultJob],
})
export class AnalysisWorkerModule {}
