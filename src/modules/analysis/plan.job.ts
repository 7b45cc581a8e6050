import { Injectable } from '@nestjs/common';
import { Database } from '../../platform/database/database.js';
import { JobHandler } from '../../platform/queue/job.js';
import { StudyReader, type StudyCompleted } from '../images/images.contract.js';
import { ModelsService } from './models/models.service.js';
import type { ModelRow } from './models/models.store.js';
import { Planner, type Planned } from './routing/planner.service.js';
import { RunsService } from './runs.service.js';

/** A study became complete: every analysis that the institution's rules want gets a run; without rules every one whose active model fits it by modality and body part. */
@Injectable()
export class PlanJob extends JobHandler<StudyCompleted> {
  constructor(
    private readonly database: Database,
    private readonly studies: StudyReader,
    private readonly planner: Planner,
    private readonly models: ModelsService,
    private readonly runs: RunsService,
  ) {
    super();
  }

  async handle({ institutionId, studyId, revision }: StudyCompleted): Promise<void> {
    const study = await this.studies.findById(institutionId, studyId);
    // A later revision has an event of its own.
    if (study?.revision !== revision) return;
    const planned: { model: ModelRow; shadows: readonly ModelRow[]; priority: Planned['priority'] }[] = [];
    for (const { model, priority } of (await this.planner.plan(study)).planned) {
      if (model) planned.push({ model, shadows: await this.models.shadowsOf(model, study), priority });
    }
    if (planned.length === 0) return;
    await this.database.transaction({ institutionId }, async (tx) => {
      if (!(await this.studies.lock(tx, institutionId, studyId))) return;
      for (const plan of planned) await this.runs.plan(tx, study, plan);
    });
  }
}
