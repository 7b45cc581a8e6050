import { Injectable } from '@nestjs/common';
import type { AnalysisName } from '../../imaging/model/manifest.js';
import { AppError } from '../../kernel/errors.js';
import type { Transaction } from '../../kernel/transaction.js';
import { uuidv7 } from '../../kernel/uid.js';
import { Database } from '../../platform/database/database.js';
import { LiveChannel } from '../../platform/database/live-channel.js';
import { currentTraceparent } from '../../platform/ops/tracing.js';
import { Outbox } from '../../platform/queue/outbox.js';
import { StudyReader, type StoredStudy } from '../images/images.contract.js';
import { ModelsService } from './models/models.service.js';
import type { ModelRow } from './models/models.store.js';
import { requested, RUN_CANCELLED, RUN_CHANGED } from './run-events.js';
import { CLINICAL, FINAL_STATUSES, RunsStore, SHADOW, type RunRow } from './runs.store.js';

export interface RunRequest {
  analysis: AnalysisName;
  studyInstanceUid: string;
  seriesInstanceUids?: readonly string[] | undefined;
  model?: string | undefined;
  priority: string;
}

export interface RunOptions {
  selection?: readonly string[];
  priority?: string;
  requestedBy?: string | null;
  purpose?: string;
}

const IN_SHADOW = { purpose: SHADOW, priority: 'research' } as const;

/** Runs are created, cancelled and retried here. */
@Injectable()
export class RunsService {
  constructor(
    private readonly database: Database,
    private readonly runs: RunsStore,
    private readonly models: ModelsService,
    private readonly studies: StudyReader,
    private readonly outbox: Outbox,
    private readonly live: LiveChannel,
  ) {}

  /**
   * The same request gives the same run, whatever became of it: another try is asked for with `retry`.
   *
   * @throws AppError `study-not-found`, `series-not-found`, `model-not-found`, `model-rejected`, `model-mismatch`, `no-active-model`
   */
  async request(institutionId: string, requestedBy: string, { analysis, studyInstanceUid, seriesInstanceUids = [], model: asked, priority }: RunRequest): Promise<{ run: RunRow; created: boolean }> {
    const study = await this.studies.find(institutionId, studyInstanceUid);
    if (!study) throw new AppError('study-not-found');
    const selection = [...new Set(seriesInstanceUids)].sort();
    if (selection.some((uid) => !study.series.some((series) => series.seriesInstanceUid === uid))) throw new AppError('series-not-found', { detail: 'A series of seriesInstanceUids is not in the study.' });
    const model = await this.models.choose(institutionId, analysis, restricted(study, selection), asked);
    const shadows = asked === undefined ? await this.models.shadowsOf(model, restricted(study, selection)) : [];
    return this.database.transaction({ institutionId }, async (tx) => {
      if (!(await this.studies.lock(tx, institutionId, study.id))) throw new AppError('study-not-found');
      const made = await this.create(tx, study, model, { selection, priority, requestedBy });
      for (const shadow of shadows) await this.create(tx, study, shadow, { selection, ...IN_SHADOW });
      return made;
    });
  }

  /** The run of a study that is complete, and beside it those of the models in the shadow. The study's row must be locked. */
  async plan(tx: Transaction, study: StoredStudy, { model, shadows, priority }: { model: ModelRow; shadows: readonly ModelRow[]; priority: string }): Promise<void> {
    await this.create(tx, study, model, { priority });
    for (const shadow of shadows) await this.create(tx, study, shadow, IN_SHADOW);
  }

  /** Creates the run unless it is there. The study's row must be locked. */
  async create(tx: Transaction, study: StoredStudy, model: ModelRow, { selection = [], priority = 'routine', requestedBy = null, purpose = CLINICAL }: RunOptions = {}): Promise<{ run: RunRow; created: boolean }> {
    const made = await this.runs.create(tx, {
      id: uuidv7(), institutionId: study.institutionId, studyId: study.id, studyInstanceUid: study.studyInstanceUid, studyRevision: study.revision,
      analysis: model.analysis, modelId: model.id, modelName: model.name, modelVersion: model.version, modelDigest: model.digest,
      seriesInstanceUids: [...selection], selection: selection.join(','), purpose, priority, requestedBy, traceparent: currentTraceparent() ?? null,
    });
    if (made.created) await this.outbox.append(tx, requested(made.run));
    return made;
  }

  /**
   * A run that waits is cancelled at once; the worker of a running one is told and stops within about a second.
   * @throws AppError `analysis-not-found`, `analysis-not-cancellable`
   */
  async cancel(institutionId: string, id: string): Promise<RunRow> {
    const run = await this.change(institutionId, id, async (tx, { status }) => {
      if (status === 'cancelled') return undefined;
      if (FINAL_STATUSES.includes(status)) throw new AppError('analysis-not-cancellable');
      return status === 'queued' ? this.runs.cancelQueued(tx, id) : this.runs.requestCancel(tx, id);
    });
    if (run.status === 'running') await this.live.publish({ topic: RUN_CANCELLED, key: id });
    return run;
  }

  /**
   * Queues a run again that failed, was cancelled, or was not analysable.
   * @throws AppError `analysis-not-found`, `analysis-not-retryable`, `study-deleted`
   */
  async retry(institutionId: string, id: string): Promise<RunRow> {
    return this.change(institutionId, id, async (tx, { status, studyId }) => {
      if (!['failed', 'cancelled', 'not-analysable'].includes(status)) throw new AppError('analysis-not-retryable');
      if (!(await this.studies.lock(tx, institutionId, studyId))) throw new AppError('study-deleted');
      const run = await this.runs.restart(tx, id, currentTraceparent() ?? null);
      await this.outbox.append(tx, requested(run));
      return run;
    });
  }

  private async change(institutionId: string, id: string, work: (tx: Transaction, run: RunRow) => Promise<RunRow | undefined>): Promise<RunRow> {
    const run = await this.database.transaction({ institutionId }, async (tx) => {
      const found = await this.runs.lock(tx, institutionId, id);
      if (!found) throw new AppError('analysis-not-found');
      return (await work(tx, found)) ?? found;
    });
    await this.live.publish({ topic: RUN_CHANGED, key: id });
    return run;
  }
}

/** The study with the picked series only; all of them when none was picked. */
export function restricted(study: StoredStudy, selection: readonly string[]): StoredStudy {
  return selection.length === 0 ? study : { ...study, series: study.series.filter(({ seriesInstanceUid }) => selection.includes(seriesInstanceUid)) };
}
