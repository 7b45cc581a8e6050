import { Injectable } from '@nestjs/common';
import type { Transaction } from '../../kernel/transaction.js';
import { uuidv7 } from '../../kernel/uid.js';
import { prismaOf, type PrismaTransaction } from '../../platform/database/database.js';
import type { InstanceRecord } from './instance-record.js';

/** What is stored under a SOP Instance UID. */
export interface KnownInstance {
  studyInstanceUid: string;
  sha256: string;
}

/** Rows of instances and of the studies and series that they build up. */
@Injectable()
export class InstancesStore {
  async find(tx: Transaction, institutionId: string, sopInstanceUid: string): Promise<KnownInstance | null> {
    const rows = await prismaOf(tx).$queryRaw<{ sha256: string; study_instance_uid: string }[]>`
      SELECT i.sha256, s.study_instance_uid FROM instances i JOIN studies s ON s.id = i.study_id
      WHERE i.institution_id = ${institutionId}::uuid AND i.sop_instance_uid = ${sopInstanceUid}`;
    return rows[0] ? { sha256: rows[0].sha256, studyInstanceUid: rows[0].study_instance_uid } : null;
  }

  /**
   * Inserts the instance with its study and series. The study's row stays locked until the commit, so that settling never
   * counts half an instance; a complete study that gets a new instance is receiving again, unless the instance is derived.
   *
   * @returns false when the SOP Instance UID is taken: roll back, or an empty study may remain
   */
  async insert(tx: Transaction, record: InstanceRecord): Promise<boolean> {
    const client = prismaOf(tx);
    const studyId = await this.lockStudy(client, record);
    const series = await this.addToSeries(client, record, studyId);
    const inserted = await client.$executeRaw`
      INSERT INTO instances (id, institution_id, study_id, series_id, sop_instance_uid, sop_class_uid, transfer_syntax_uid, instance_number,
        rows, columns, frames, blob_key, size_bytes, sha256, attributes, derived)
      VALUES (${uuidv7()}::uuid, ${record.institutionId}::uuid, ${studyId}::uuid, ${series.id}::uuid, ${record.sopInstanceUid}, ${record.sopClassUid},
        ${record.transferSyntaxUid}, ${record.instanceNumber}::int, ${record.rows}::int, ${record.columns}::int, ${record.frames}::int,
        ${record.blobKey}, ${record.sizeBytes}::bigint, ${record.sha256}, ${record.attributes}::jsonb, ${record.derived}::boolean)
      ON CONFLICT (institution_id, sop_instance_uid) DO NOTHING`;
    if (inserted === 0) return false;
    await this.count(client, record, studyId, series.isNew);
    return true;
  }

  /** Makes the study or fills in what earlier instances did not say. */
  private async lockStudy(client: PrismaTransaction, { institutionId, study }: InstanceRecord): Promise<string> {
    const rows = await client.$queryRaw<{ id: string }[]>`
      INSERT INTO studies (id, institution_id, study_instance_uid, patient_id, patient_name, patient_birth_date, patient_sex,
        study_date, study_time, accession_number, study_description, modalities, last_instance_at, updated_at)
      VALUES (${uuidv7()}::uuid, ${institutionId}::uuid, ${study.studyInstanceUid}, ${study.patientId}, ${study.patientName}, ${study.patientBirthDate},
        ${study.patientSex}, ${study.studyDate}, ${study.studyTime}, ${study.accessionNumber}, ${study.studyDescription}, '{}', now(), now())
      ON CONFLICT (institution_id, study_instance_uid) DO UPDATE SET
        patient_id = coalesce(studies.patient_id, excluded.patient_id),
        patient_name = coalesce(studies.patient_name, excluded.patient_name),
        patient_birth_date = coalesce(studies.patient_birth_date, excluded.patient_birth_date),
        patient_sex = coalesce(studies.patient_sex, excluded.patient_sex),
        study_date = coalesce(studies.study_date, excluded.study_date),
        study_time = coalesce(studies.study_time, excluded.study_time),
        accession_number = coalesce(studies.accession_number, excluded.accession_number),
        study_description = coalesce(studies.study_description, excluded.study_description)
      RETURNING id`;
    return onlyRow(rows).id;
  }

  private async addToSeries(client: PrismaTransaction, { institutionId, series }: InstanceRecord, studyId: string): Promise<{ id: string; isNew: boolean }> {
    const rows = await client.$queryRaw<{ id: string; instance_count: number }[]>`
      INSERT INTO series (id, institution_id, study_id, series_instance_uid, modality, body_part, view_position, series_number, series_description, instance_count)
      VALUES (${uuidv7()}::uuid, ${institutionId}::uuid, ${studyId}::uuid, ${series.seriesInstanceUid}, ${series.modality}, ${series.bodyPart},
        ${series.viewPosition}, ${series.seriesNumber}::int, ${series.seriesDescription}, 1)
      ON CONFLICT (study_id, series_instance_uid) DO UPDATE SET instance_count = series.instance_count + 1
      RETURNING id, instance_count`;
    const row = onlyRow(rows);
    return { id: row.id, isNew: row.instance_count === 1 };
  }

  private async count(client: PrismaTransaction, { series: { modality }, sizeBytes, derived }: InstanceRecord, studyId: string, isNewSeries: boolean): Promise<void> {
    await client.$executeRaw`
      UPDATE studies SET
        instance_count = instance_count + 1, size_bytes = size_bytes + ${sizeBytes}::bigint, series_count = series_count + ${isNewSeries ? 1 : 0}::int,
        modalities = CASE WHEN ${modality}::text IS NULL OR ${modality}::text = ANY (modalities) THEN modalities ELSE array_append(modalities, ${modality}::text) END,
        state = CASE WHEN ${derived}::boolean THEN state ELSE 'receiving' END,
        last_instance_at = CASE WHEN ${derived}::boolean THEN last_instance_at ELSE clock_timestamp() END,
        updated_at = clock_timestamp()
      WHERE id = ${studyId}::uuid`;
  }
}

/** An upsert that updates always returns its row. */
function onlyRow<Row>(rows: readonly Row[]): Row {
  const [row] = rows;
  if (row === undefined) throw new Error('an upsert returned no row');
  return row;
}
