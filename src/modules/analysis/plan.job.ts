import { Injectable } from '@nestjs/common';
import { ANALYSES } from '../../imaging/analyses/catalog.js';
import { Database } from '../../platform/database/database.js';
import { JobHandler } from '../../platform/queue/job.js';
import { StudyReader, type StudyCompleted } from '../images/images.contract.js';
import { ModelsService } from './models/models.service.js';
import type { ModelRow } from './models/models.store.js';
import { RunsService } from './runs.service.js';

/** A study became complete: every analysis whose active model fits it by modality and body part gets a run. */
@Injectable()
export class PlanJob extends JobHandler<StudyCompleted> {
  constructor(
    private readonly database: Database,
    private readonly studies: StudyReader,
    private readonly models: ModelsService,
    private readonly runs: RunsService,
  ) {
    super();
  }

  async handle({ institutionId, studyId, revision }: StudyCompleted): Promise<void> {
    const study = await this.studies.findById(institutionId, studyId);
    // A later revision has an event of its own.
    if (study?.revision !== revision) return;
    const planned: { model: ModelRow; shadows: readonly ModelRow[] }[] = [];
    for (const { name } of ANALYSES) {
      const model = await this.models.planned(institutionId, name, study);
      if (model) planned.push({ model, shadows: await this.models.shadowsOf(model, study) });
    }
    if (planned.length === 0) return;
    await this.database.transaction({ institutionId }, async (tx) => {
      if (!(await this.studies.lock(tx, institutionId, studyId))) return;
      for (const plan of planned) await this.runs.plan(tx, study, plan);
    });
  }
}
