import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { AppError } from '../../../kernel/errors.js';
import { uuidv7 } from '../../../kernel/uid.js';
import { Database } from '../../../platform/database/database.js';
import { StudyReader } from '../../images/images.contract.js';
import { StudyResults, type OriginalResult } from '../../results/results.contract.js';
import { ModelsStore } from '../models/models.store.js';
import { RunsService } from '../runs.service.js';
import { REPRODUCE, type RunRow } from '../runs.store.js';
import { ReproductionsStore } from './reproductions.store.js';

const series = z.array(z.object({ seriesInstanceUid: z.string() }));
/** What an analysis says of its selection, in a form of its own or in the common one. */
const selectionSchema = z.object({ selection: z.union([series, z.object({ series }).transform((selection) => selection.series)]) });

/** Starts runs that compute a result again, with the model and from the series that made it. */
@Injectable()
export class Reproductions {
  constructor(
    private readonly database: Database,
    private readonly results: StudyResults,
    private readonly studies: StudyReader,
    private readonly models: ModelsStore,
    private readonly runs: RunsService,
    private readonly store: ReproductionsStore,
  ) {}

  /**
   * While one is under way for the result, that one is given.
   * @throws AppError `result-not-found`, `model-gone`, `input-gone`
   */
  async request(institutionId: string, requestedBy: string, resultId: string): Promise<{ run: RunRow; created: boolean }> {
    const original = await this.results.original(institutionId, resultId);
    if (!original) throw new AppError('result-not-found');
    const model = await this.models.findByDigest(original.provenance.model.digest);
    if (!model) throw new AppError('model-gone');
    const study = await this.studies.findById(institutionId, original.studyId);
    if (!study) throw new AppError('result-not-found');
    const selection = await this.selectionOf(institutionId, original);
    const known = new Set(study.series.map(({ seriesInstanceUid }) => seriesInstanceUid));
    if (selection.some((uid) => !known.has(uid))) throw new AppError('input-gone');
    return this.database.transaction({ institutionId }, async (tx) => {
      if (!(await this.studies.lock(tx, institutionId, study.id)) || !(await this.results.lock(tx, institutionId, resultId))) throw new AppError('result-not-found');
      const open = await this.store.open(tx, institutionId, resultId);
      if (open) return { run: open, created: false };
      const made = await this.runs.create(tx, study, model, { selection, priority: 'research', requestedBy, purpose: `${REPRODUCE}${uuidv7()}` });
      await this.store.insert(tx, { analysisId: made.run.id, institutionId, resultId, requestedBy });
      return made;
    });
  }

  /** Series that came since must not be picked, so those that were read are named, whoever picked them. */
  private async selectionOf(institutionId: string, { analysisId, provenance: { details } }: OriginalResult): Promise<string[]> {
    const read = selectionSchema.safeParse(details);
    if (read.success) return [...new Set(read.data.selection.map(({ seriesInstanceUid }) => seriesInstanceUid))].sort();
    return this.store.pickedSeries(institutionId, analysisId);
  }
}
