import { Injectable } from '@nestjs/common';
import { AppError } from '../../../kernel/errors.js';
import type { Transaction } from '../../../kernel/transaction.js';
import { KeyVault } from '../../../platform/crypto/key-vault.js';
import { requireMatch } from '../../../platform/http/if-match.js';
import { DeidentifiedExportsStore } from '../deidentified-exports.store.js';
import { PatientRecords, type ErasedPatient, type InstanceObject, type PatientRecord, type PatientStudyRecord } from '../images.contract.js';
import { studyDetailJson } from '../studies-json.js';
import { StudiesService } from '../studies.service.js';
import { StudiesStore } from '../studies.store.js';
import { StudyAttributes } from '../study-attributes.js';
import { patientETag, patientJson } from './patients-json.js';
import { PatientsStore } from './patients.store.js';

const PAGE_SIZE = 100;

/** What the other modules see of patients. */
@Injectable()
export class StoredPatientRecords extends PatientRecords {
  constructor(
    private readonly patients: PatientsStore,
    private readonly studies: StudiesStore,
    private readonly service: StudiesService,
    private readonly attributes: StudyAttributes,
    private readonly instances: DeidentifiedExportsStore,
    private readonly vault: KeyVault,
  ) {
    super();
  }

  async find(institutionId: string, patientId: string): Promise<PatientRecord | null> {
    const row = await this.patients.find(institutionId, patientId);
    if (!row) return null;
    const opened = await this.attributes.openAll([row.newest]);
    return { id: row.id, description: patientJson(row, opened.get(row.newest.id)), studyInstanceUids: await this.patients.studyUids(institutionId, patientId) };
  }

  async *studiesOf(institutionId: string, patientResourceId: string): AsyncGenerator<PatientStudyRecord> {
    for (let cursor: string | undefined; ;) {
      const page = (await this.studies.list(institutionId, { patientResourceId }, { limit: PAGE_SIZE, cursor })).slice(0, PAGE_SIZE);
      for (const { id } of page) {
        const study = await this.studies.findById(institutionId, id);
        // It may have been removed meanwhile.
        if (study) yield { id, studyInstanceUid: study.studyInstanceUid, description: await this.describe(study) };
      }
      cursor = page.at(-1)?.id;
      if (cursor === undefined || page.length < PAGE_SIZE) return;
    }
  }

  instancesOf(institutionId: string, studyId: string): AsyncGenerator<InstanceObject> {
    return this.instances.instancesOf(institutionId, studyId);
  }

  async erase(tx: Transaction, institutionId: string, patientId: string, ifMatch: string | undefined): Promise<ErasedPatient> {
    const studies = await this.patients.lockWhole(tx, institutionId, patientId);
    if (!studies || studies.length === 0) throw new AppError('patient-not-found');
    requireMatch(ifMatch, patientETag({ id: patientId, studyCount: studies.length, updatedAt: new Date(Math.max(...studies.map(({ updatedAt }) => updatedAt.getTime()))) }));
    const held = studies.filter(({ legalHold }) => legalHold).length;
    if (held > 0) throw new AppError('study-on-hold', { detail: `${String(held)} of the patient’s studies are under legal hold; nothing was erased.` });
    const earlierInstanceVersions = await this.patients.countVersions(tx, studies.map(({ id }) => id));
    await this.service.remove(tx, studies, { erased: true });
    return {
      studies: studies.map(({ id, studyInstanceUid, keyId }) => ({ id, studyInstanceUid, keyId })),
      series: studies.reduce((sum, { seriesCount }) => sum + seriesCount, 0),
      instances: studies.reduce((sum, { instanceCount }) => sum + instanceCount, 0),
      earlierInstanceVersions,
    };
  }

  forget({ studies }: ErasedPatient): void {
    for (const { keyId } of studies) this.vault.forget(keyId);
  }

  private async describe(study: NonNullable<Awaited<ReturnType<StudiesStore['findById']>>>): Promise<object> {
    const series = await this.studies.seriesOf(study.institutionId, study.id);
    const opened = await this.attributes.open(study, series).catch((error: unknown) => {
      if (error instanceof AppError && error.code === 'blob-corrupt') return null;
      throw error;
    });
    return studyDetailJson(study, series, opened);
  }
}
