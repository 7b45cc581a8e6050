import { Injectable } from '@nestjs/common';
import type { DicomJson } from '../../imaging/dicom/dicom-json.js';
import type { Transaction } from '../../kernel/transaction.js';
import { Database } from '../../platform/database/database.js';
import { BlobStore } from '../../platform/storage/blob-store.js';
import { StudyReader, type StoredInstance, type StoredSeries, type StoredStudy } from './images.contract.js';
import { StudiesStore, type InstanceRow, type StudyRow } from './studies.store.js';

/** What the other modules see of stored studies. */
@Injectable()
export class DatabaseStudyReader extends StudyReader {
  constructor(
    private readonly database: Database,
    private readonly studies: StudiesStore,
    private readonly blobs: BlobStore,
  ) {
    super();
  }

  find(institutionId: string, studyInstanceUid: string): Promise<StoredStudy | null> {
    return this.database.transaction({ institutionId }, async (tx) => this.assemble(tx, await this.studies.find(tx, institutionId, studyInstanceUid)));
  }

  findById(institutionId: string, studyId: string): Promise<StoredStudy | null> {
    return this.database.transaction({ institutionId }, async (tx) => this.assemble(tx, await this.studies.findById(tx, institutionId, studyId)));
  }

  lock(tx: Transaction, institutionId: string, studyId: string): Promise<boolean> {
    return this.studies.lock(tx, institutionId, studyId);
  }

  readInstance(blobKey: string): Promise<Uint8Array> {
    return this.blobs.read(blobKey);
  }

  private async assemble(tx: Transaction, study: StudyRow | null): Promise<StoredStudy | null> {
    if (!study) return null;
    const instances = await this.studies.inputInstances(tx, study.id);
    const series = await this.studies.seriesOf(tx, study.id);
    return {
      id: study.id,
      institutionId: study.institutionId,
      studyInstanceUid: study.studyInstanceUid,
      state: study.state === 'complete' ? 'complete' : 'receiving',
      revision: study.revision,
      series: series
        .map(({ id, seriesInstanceUid, modality }): StoredSeries => ({ seriesInstanceUid, modality, instances: instances.filter(({ seriesId }) => seriesId === id).map(storedInstance) }))
        .filter((one) => one.instances.length > 0),
    };
  }
}

function storedInstance(row: InstanceRow): StoredInstance {
  const { id, sopInstanceUid, sopClassUid, transferSyntaxUid, instanceNumber, rows, columns, frames, blobKey, sha256 } = row;
  return {
    id, sopInstanceUid, sopClassUid, transferSyntaxUid, instanceNumber, rows, columns, frames, blobKey, sha256,
    sizeBytes: Number(row.sizeBytes),
    // Written by the ingest out of a DicomJson.
    attributes: row.attributes as unknown as DicomJson,
  };
}
