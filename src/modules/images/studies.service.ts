import { Inject, Injectable } from '@nestjs/common';
import { AppError } from '../../kernel/errors.js';
import type { Transaction } from '../../kernel/transaction.js';
import { CONFIG, type Config } from '../../platform/config.js';
import { Database } from '../../platform/database/database.js';
import { Outbox } from '../../platform/queue/outbox.js';
import { STUDY_COMPLETED, STUDY_DELETED, type StudyCompleted, type StudyDeleted } from './images.contract.js';
import { completionReceipt, type CompletionReceipt } from './settlement.js';
import { StudiesStore, type StudyRow } from './studies.store.js';
import { TombstonesStore } from './tombstones.store.js';

const SETTLED_AT_ONCE = 20;

/** Refuses a write whose caller saw another state of the study (If-Match). */
export type Precondition = (study: StudyRow) => boolean;

/** When a study counts as complete, and when it goes. */
@Injectable()
export class StudiesService {
  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly database: Database,
    private readonly studies: StudiesStore,
    private readonly tombstones: TombstonesStore,
    private readonly outbox: Outbox,
  ) {}

  /**
   * Completes studies that were quiet for SETTLE_SECONDS.
   *
   * @returns how many; fewer than a full batch means that none is left
   */
  async settleQuietStudies(): Promise<{ settled: number; more: boolean }> {
    const settled = await this.database.transaction('system', async (tx) => {
      const quiet = await this.studies.claimQuiet(tx, this.config.SETTLE_SECONDS, SETTLED_AT_ONCE);
      for (const study of quiet) await this.settle(tx, study, 'timer');
      return quiet.length;
    });
    return { settled, more: settled === SETTLED_AT_ONCE };
  }

  /** Completes a study at once; one that is complete already stays as it is. @throws AppError `study-not-found`, `precondition-failed` */
  async complete(institutionId: string, studyInstanceUid: string, holds: Precondition): Promise<StudyRow> {
    return this.database.transaction({ institutionId }, async (tx) => {
      const study = await this.lockedStudy(tx, institutionId, studyInstanceUid, holds);
      return study.state === 'complete' ? study : this.settle(tx, study, 'explicit');
    });
  }

  /** Removes the rows and tells of it; the bytes go with the next sweep. @throws AppError `study-not-found`, `precondition-failed` */
  async delete(institutionId: string, studyInstanceUid: string, holds: Precondition): Promise<void> {
    await this.database.transaction({ institutionId }, async (tx) => {
      const study = await this.lockedStudy(tx, institutionId, studyInstanceUid, holds);
      await this.tombstones.buryStudy(tx, study.id);
      await this.studies.remove(tx, study.id);
      await this.outbox.append(tx, { institutionId, topic: STUDY_DELETED, payload: { institutionId, studyId: study.id, studyInstanceUid } satisfies StudyDeleted });
    });
  }

  private async lockedStudy(tx: Transaction, institutionId: string, studyInstanceUid: string, holds: Precondition): Promise<StudyRow> {
    const study = await this.studies.findForUpdate(tx, institutionId, studyInstanceUid);
    if (!study) throw new AppError('study-not-found');
    if (!holds(study)) throw new AppError('precondition-failed');
    return study;
  }

  private async settle(tx: Transaction, study: StudyRow, reason: CompletionReceipt['reason']): Promise<StudyRow> {
    const { institutionId, id: studyId, studyInstanceUid } = study;
    const revision = study.revision + 1;
    const completed = await this.studies.complete(tx, studyId, completionReceipt(reason, new Date(), revision, await this.studies.tally(tx, studyId)));
    await this.outbox.append(tx, { institutionId, topic: STUDY_COMPLETED, payload: { institutionId, studyId, studyInstanceUid, revision } satisfies StudyCompleted });
    return completed;
  }
}
