import { Inject, Injectable } from '@nestjs/common';
import { Counter } from 'prom-client';
import { AppError } from '../../kernel/errors.js';
import type { Transaction } from '../../kernel/transaction.js';
import { CONFIG, type Config } from '../../platform/config.js';
import { KeyVault } from '../../platform/crypto/key-vault.js';
import { Database } from '../../platform/database/database.js';
import { Metrics } from '../../platform/ops/metrics.js';
import { continueTrace, withSpan } from '../../platform/ops/tracing.js';
import { Outbox } from '../../platform/queue/outbox.js';
import { STUDY_COMPLETED, STUDY_DELETED, type StudyCompleted, type StudyDeleted } from './images.contract.js';
import { mainModality } from './main-modality.js';
import { PatientsStore } from './patients/patients.store.js';
import { completionReceipt, isAsAnnounced, type CompletionReceipt, type SeriesTally } from './settlement.js';
import { StudiesStore, type StudyPlace, type StudyRow } from './studies.store.js';
import { TombstonesStore } from './tombstones.store.js';

const SETTLED_AT_ONCE = 20;

/** Refuses a write whose caller saw another state of the study (If-Match), by throwing. */
export type Precondition = (study: StudyRow) => void;

/** What must be known of a study to remove it. */
export type RemovableStudy = Pick<StudyRow, 'institutionId' | 'id' | 'patientId' | 'studyInstanceUid' | 'keyId'>;

/** When a study counts as complete, and when it goes. */
@Injectable()
export class StudiesService {
  private readonly completed: Counter;

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly database: Database,
    private readonly studies: StudiesStore,
    private readonly tombstones: TombstonesStore,
    private readonly patients: PatientsStore,
    private readonly vault: KeyVault,
    private readonly outbox: Outbox,
    { registry }: Metrics,
  ) {
    this.completed = new Counter({ name: 'healthvision_studies_completed_total', help: 'Studies that this process found complete for the first time, by the modality that they began with', labelNames: ['modality'], registers: [registry] });
  }

  /**
   * Completes studies that have all that was announced for them, without waiting: of those that seem so, the newest.
   *
   * @param behind  where an earlier page ended, to go on from there
   * @returns where this page ended; undefined when nothing lies behind it
   */
  async settleWholeStudies(behind?: StudyPlace): Promise<StudyPlace | undefined> {
    const page = await this.studies.seeminglyWhole(SETTLED_AT_ONCE, behind);
    for (const { institutionId, studyInstanceUid } of page) this.count(await this.database.transaction({ institutionId }, (tx) => this.settleIfWhole(tx, institutionId, studyInstanceUid)));
    return page.length === SETTLED_AT_ONCE ? page.at(-1) : undefined;
  }

  /**
   * Completes studies that were quiet for SETTLE_SECONDS.
   *
   * @returns how many; fewer than a full batch means that none is left
   */
  async settleQuietStudies(): Promise<{ settled: number; more: boolean }> {
    const settled = await this.database.transaction('system', async (tx) => {
      const quiet = await this.studies.claimQuiet(tx, this.config.SETTLE_SECONDS, SETTLED_AT_ONCE);
      const done: StudyRow[] = [];
      for (const study of quiet) done.push(await this.settleRemembered(tx, study, 'timer'));
      return done;
    });
    for (const study of settled) this.count(study);
    return { settled: settled.length, more: settled.length === SETTLED_AT_ONCE };
  }

  /** Completes a study at once; one that is complete already stays as it is. @throws AppError `study-not-found`, `precondition-failed` */
  async complete(institutionId: string, studyInstanceUid: string, check: Precondition): Promise<StudyRow> {
    const { study, isNew } = await this.database.transaction({ institutionId }, async (tx) => {
      const found = await this.lockedStudy(tx, institutionId, studyInstanceUid, check);
      return found.state === 'complete' ? { study: found, isNew: false } : { study: await this.settle(tx, found, 'explicit'), isNew: true };
    });
    if (isNew) this.count(study);
    return study;
  }

  /** @throws AppError `study-not-found`, `precondition-failed` */
  async setLegalHold(institutionId: string, studyInstanceUid: string, legalHold: boolean, check: Precondition): Promise<StudyRow> {
    return this.database.transaction({ institutionId }, async (tx) => {
      const study = await this.lockedStudy(tx, institutionId, studyInstanceUid, check);
      return study.legalHold === legalHold ? study : this.studies.setLegalHold(tx, study.id, legalHold);
    });
  }

  /** Removes a study as `remove` does. @throws AppError `study-not-found`, `precondition-failed`, `study-on-hold` */
  async delete(institutionId: string, studyInstanceUid: string, check: Precondition): Promise<void> {
    const { keyId } = await this.database.transaction({ institutionId }, async (tx) => {
      const study = await this.lockedStudy(tx, institutionId, studyInstanceUid, check);
      if (study.legalHold) throw new AppError('study-on-hold');
      await this.remove(tx, [study]);
      return study;
    });
    this.vault.forget(keyId);
  }

  /**
   * Removes the rows, destroys the keys and tells of it. Without its key a study's bytes are noise, in backups too; they go with the
   * next sweep. A patient goes with the last study. The studies must be locked; forget their keys after the commit.
   *
   * @param erased  nothing that names them is to stay anywhere
   */
  async remove(tx: Transaction, studies: readonly RemovableStudy[], { erased = false } = {}): Promise<void> {
    for (const { institutionId, id: studyId, studyInstanceUid, keyId } of studies) {
      await this.tombstones.buryStudy(tx, studyId);
      await this.studies.remove(tx, studyId);
      await this.vault.destroy(tx, [keyId]);
      await this.outbox.append(tx, { institutionId, topic: STUDY_DELETED, payload: { institutionId, studyId, studyInstanceUid, erased } satisfies StudyDeleted });
    }
    await this.patients.dropEmpty(tx, studies.map(({ patientId }) => patientId));
  }

  private async lockedStudy(tx: Transaction, institutionId: string, studyInstanceUid: string, check: Precondition): Promise<StudyRow> {
    const study = await this.studies.findForUpdate(tx, institutionId, studyInstanceUid);
    if (!study) throw new AppError('study-not-found');
    check(study);
    return study;
  }

  /** What seemed whole may have gone on meanwhile. */
  private async settleIfWhole(tx: Transaction, institutionId: string, studyInstanceUid: string): Promise<StudyRow | undefined> {
    const study = await this.studies.findForUpdate(tx, institutionId, studyInstanceUid);
    if (study?.state !== 'receiving') return undefined;
    const tallies = await this.studies.tally(tx, study.id);
    return isAsAnnounced(tallies) ? this.settleRemembered(tx, study, 'expected-count', tallies) : undefined;
  }

  /** After the commit. What came late to a study makes it no other study. */
  private count(study: StudyRow | undefined): void {
    if (study?.revision === 1) this.completed.inc({ modality: mainModality(study.modalities) });
  }

  /** On a timer nobody asks for it: what follows belongs to the trace of the last upload. */
  private settleRemembered(tx: Transaction, study: StudyRow, reason: CompletionReceipt['reason'], counted?: readonly SeriesTally[]): Promise<StudyRow> {
    return continueTrace(study.traceparent, () => this.settle(tx, study, reason, counted));
  }

  private settle(tx: Transaction, study: StudyRow, reason: CompletionReceipt['reason'], counted?: readonly SeriesTally[]): Promise<StudyRow> {
    const { institutionId, id: studyId, studyInstanceUid, lateInstances } = study;
    const revision = study.revision + 1;
    return withSpan('settle study', { 'healthvision.study.id': studyId, 'healthvision.study.revision': revision, 'healthvision.reason': reason }, async () => {
      const tallies = counted ?? (await this.studies.tally(tx, studyId));
      const completed = await this.studies.complete(tx, study, completionReceipt({ reason, at: new Date(), revision, lateInstances }, tallies));
      await this.outbox.append(tx, { institutionId, topic: STUDY_COMPLETED, payload: { institutionId, studyId, studyInstanceUid, revision } satisfies StudyCompleted });
      return completed;
    });
  }
}
