import { Injectable } from '@nestjs/common';
import { setImmediate } from 'node:timers/promises';
import type { Transaction } from '../../kernel/transaction.js';
import { KeyVault, type DataKey } from '../../platform/crypto/key-vault.js';
import { BlobStore } from '../../platform/storage/blob-store.js';
import { StudyReader, type DatedStudy, type StoredInstance, type StoredStudy } from './images.contract.js';
import { sealContext } from './sealed-json.js';
import { StudiesStore, type InstanceRow, type StudyInputRows } from './studies.store.js';
import { openAttributes } from './study-attributes.js';

/** Opening an instance takes a fraction of a millisecond; in between others get their turn. */
const OPENED_AT_ONCE = 64;

/** What the other modules see of stored studies. */
@Injectable()
export class DatabaseStudyReader extends StudyReader {
  constructor(
    private readonly studies: StudiesStore,
    private readonly vault: KeyVault,
    private readonly blobs: BlobStore,
  ) {
    super();
  }

  async find(institutionId: string, studyInstanceUid: string): Promise<StoredStudy | null> {
    return this.assemble(await this.studies.findInput(institutionId, { studyInstanceUid }));
  }

  async findById(institutionId: string, studyId: string): Promise<StoredStudy | null> {
    return this.assemble(await this.studies.findInput(institutionId, { id: studyId }));
  }

  async ofSamePatient(institutionId: string, studyInstanceUid: string): Promise<DatedStudy[]> {
    const studies = await this.studies.ofSamePatient(institutionId, studyInstanceUid);
    return studies.map(({ studyInstanceUid: uid, studyDate, createdAt }) => ({ studyInstanceUid: uid, at: dateOf(studyDate) ?? createdAt, createdAt }))
      .sort((a, b) => a.at.getTime() - b.at.getTime() || a.createdAt.getTime() - b.createdAt.getTime())
      .map(({ studyInstanceUid: uid, at }) => ({ studyInstanceUid: uid, at }));
  }

  lock(tx: Transaction, institutionId: string, studyId: string): Promise<boolean> {
    return this.studies.lock(tx, institutionId, studyId);
  }

  readInstance(blobKey: string): Promise<Uint8Array> {
    return this.blobs.read(blobKey);
  }

  private async assemble(found: StudyInputRows | null): Promise<StoredStudy | null> {
    if (!found) return null;
    const { study, series, instances: rows } = found;
    const { id, institutionId, studyInstanceUid, revision } = study;
    const bySeries = await this.openInstances(study.keyId, rows);
    return {
      id, institutionId, studyInstanceUid, revision,
      state: study.state === 'complete' ? 'complete' : 'receiving',
      series: series.flatMap(({ id: seriesId, seriesInstanceUid, modality }) => {
        const instances = bySeries.get(seriesId);
        return instances ? [{ seriesInstanceUid, modality, instances }] : [];
      }),
    };
  }

  /** @returns by the series' row */
  private async openInstances(keyId: string, rows: readonly InstanceRow[]): Promise<ReadonlyMap<string, StoredInstance[]>> {
    const bySeries = new Map<string, StoredInstance[]>();
    if (rows.length === 0) return bySeries;
    const key = await this.vault.keyById(keyId);
    for (const [index, row] of rows.entries()) {
      if (index % OPENED_AT_ONCE === OPENED_AT_ONCE - 1) await setImmediate();
      const instances = bySeries.get(row.seriesId) ?? [];
      instances.push(storedInstance(row, key));
      bySeries.set(row.seriesId, instances);
    }
    return bySeries;
  }
}

/** DA; undefined for what is no date. */
function dateOf(text: string | null): Date | undefined {
  const [, year, month, day] = /^(\d{4})(\d{2})(\d{2})$/.exec(text ?? '') ?? [];
  const at = new Date(`${year ?? ''}-${month ?? ''}-${day ?? ''}T00:00:00Z`);
  return Number.isNaN(at.getTime()) ? undefined : at;
}

function storedInstance(row: InstanceRow, key: DataKey): StoredInstance {
  const { id, sopInstanceUid, sopClassUid, transferSyntaxUid, instanceNumber, rows, columns, frames, blobKey, sha256, sealed } = row;
  return {
    id, sopInstanceUid, sopClassUid, transferSyntaxUid, instanceNumber, rows, columns, frames, blobKey, sha256,
    sizeBytes: Number(row.sizeBytes),
    attributes: openAttributes(key, sealed, sealContext.instance(id)),
  };
}
