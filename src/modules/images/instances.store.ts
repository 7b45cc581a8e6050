import { Injectable } from '@nestjs/common';
import { Prisma } from '../../generated/prisma/client.js';
import { text } from '../../imaging/dicom/attributes.js';
import type { DicomJson } from '../../imaging/dicom/dicom-json.js';
import type { Transaction } from '../../kernel/transaction.js';
import { uuidv7 } from '../../kernel/uid.js';
import type { BlindIndex, DataKey } from '../../platform/crypto/key-vault.js';
import { Database, prismaOf, type PrismaTransaction } from '../../platform/database/database.js';
import { filledIn } from './attribute-levels.js';
import type { InstanceRecord } from './instance-record.js';
import { studyTokens } from './qido/search-tokens.js';
import { openJson, sealContext, sealJson } from './sealed-json.js';
import { storableJson, storableText } from './storable-json.js';

/** What is stored under a SOP Instance UID. */
export interface KnownInstance {
  id: string;
  sopInstanceUid: string;
  studyInstanceUid: string;
  seriesInstanceUid: string;
  sha256: string;
  blobKey: string;
}

interface StudyUpsert {
  id: string;
  sealed: Uint8Array;
  is_new: boolean;
}

/** Rows of instances and of the studies and series that they build up. */
@Injectable()
export class InstancesStore {
  constructor(private readonly database: Database) {}

  /** Which of these are stored already. */
  async find(institutionId: string, sopInstanceUids: readonly string[]): Promise<Map<string, KnownInstance>> {
    const rows = await this.database.read<KnownInstance>({ institutionId }, Prisma.sql`
      SELECT i.id, i.sop_instance_uid AS "sopInstanceUid", i.sha256, i.blob_key AS "blobKey", t.study_instance_uid AS "studyInstanceUid", s.series_instance_uid AS "seriesInstanceUid"
      FROM instances i JOIN studies t ON t.id = i.study_id JOIN series s ON s.id = i.series_id
      WHERE i.institution_id = ${institutionId}::uuid AND i.sop_instance_uid = ANY (${sopInstanceUids}::text[])`);
    return new Map(rows.map((row) => [row.sopInstanceUid, row]));
  }

  /**
   * Inserts instances of one study with their study and series. The study's row stays locked until the commit, so that settling
   * never counts half an instance; a complete study that gets a new instance is receiving again, unless the instance is derived.
   *
   * @param records  at least one; SOP Instance UIDs differ
   * @returns SOP Instance UIDs that were inserted; the others are taken
   */
  async insert(tx: Transaction, records: readonly [InstanceRecord, ...InstanceRecord[]], index: BlindIndex): Promise<ReadonlySet<string>> {
    const client = prismaOf(tx);
    const study = await this.upsertStudy(client, records, index);
    const series = await this.upsertSeries(client, records, study.id);
    const inserted = await this.insertInstances(client, records, study.id, series);
    if (inserted.size > 0) await this.count(client, records.filter(({ sopInstanceUid }) => inserted.has(sopInstanceUid)), study.id);
    if (inserted.size < records.length) await this.dropEmpty(client, study.id);
    return inserted;
  }

  /** Makes the study or fills in what earlier instances did not say. */
  private async upsertStudy(client: PrismaTransaction, records: readonly [InstanceRecord, ...InstanceRecord[]], index: BlindIndex): Promise<StudyUpsert> {
    const [{ institutionId, key, study: first }] = records;
    const [there] = await client.$queryRaw<StudyUpsert[]>`
      SELECT id, sealed, false AS is_new FROM studies WHERE institution_id = ${institutionId}::uuid AND study_instance_uid = ${first.studyInstanceUid} FOR UPDATE`;
    if (there) {
      await this.fillIn(client, there, records, index);
      return there;
    }
    const attributes = records.reduce<DicomJson>((known, { study }) => filledIn(known, study.attributes) ?? known, first.attributes);
    const id = uuidv7();
    const tokens = studyTokens(index, attributes);
    const rows = await client.$queryRaw<StudyUpsert[]>`
      INSERT INTO studies (id, institution_id, study_instance_uid, key_id, sealed, patient_id_token, accession_token, search_tokens, study_date, study_time,
        modalities, sop_classes, last_instance_at, updated_at)
      VALUES (${id}::uuid, ${institutionId}::uuid, ${first.studyInstanceUid}, ${key.id}::uuid, ${sealJson(key, storableJson(attributes), sealContext.study(id))},
        ${tokens.patientIdToken}::bigint, ${tokens.accessionToken}::bigint, ${tokens.searchTokens}::bigint[], ${first.studyDate}, ${first.studyTime}, '{}', '{}', now(), now())
      ON CONFLICT (institution_id, study_instance_uid) DO UPDATE SET study_instance_uid = excluded.study_instance_uid
      RETURNING id, sealed, (xmax = 0) AS is_new`;
    const study = onlyRow(rows);
    if (!study.is_new) await this.fillIn(client, study, records, index);
    return study;
  }

  private async fillIn(client: PrismaTransaction, study: StudyUpsert, records: readonly [InstanceRecord, ...InstanceRecord[]], index: BlindIndex): Promise<void> {
    const [record] = records;
    const before = attributesOf(study, record.key);
    const filled = records.reduce<DicomJson>((known, { study: { attributes } }) => filledIn(known, attributes) ?? known, before);
    if (filled !== before) await this.describeStudy(client, study.id, filled, record, index);
  }

  private async describeStudy(client: PrismaTransaction, studyId: string, attributes: DicomJson, { key }: InstanceRecord, index: BlindIndex): Promise<void> {
    const { patientIdToken, accessionToken, searchTokens } = studyTokens(index, attributes);
    const word = (keyword: string): string | null => { const value = text(attributes, keyword); return value === undefined || value === '' ? null : storableText(value); };
    await client.$executeRaw`
      UPDATE studies SET sealed = ${sealJson(key, storableJson(attributes), sealContext.study(studyId))}, patient_id_token = ${patientIdToken}::bigint,
        accession_token = ${accessionToken}::bigint, search_tokens = ${searchTokens}::bigint[], study_date = ${word('StudyDate')}, study_time = ${word('StudyTime')}
      WHERE id = ${studyId}::uuid`;
  }

  /** @returns id of each series by its UID */
  private async upsertSeries(client: PrismaTransaction, records: readonly InstanceRecord[], studyId: string): Promise<ReadonlyMap<string, string>> {
    const firsts = [...new Map(records.map((record) => [record.series.seriesInstanceUid, record])).values()].sort((a, b) => (a.series.seriesInstanceUid < b.series.seriesInstanceUid ? -1 : 1));
    const values = firsts.map(({ institutionId, key, series }) => {
      const id = uuidv7();
      return Prisma.sql`(${id}::uuid, ${institutionId}::uuid, ${studyId}::uuid, ${series.seriesInstanceUid}, ${sealJson(key, storableJson(series.attributes), sealContext.series(id))},
        ${series.modality}, ${series.bodyPart}, ${series.viewPosition}, ${series.seriesNumber}::int, ${series.performedDate}, ${series.performedTime})`;
    });
    const rows = await client.$queryRaw<{ id: string; series_instance_uid: string }[]>`
      INSERT INTO series (id, institution_id, study_id, series_instance_uid, sealed, modality, body_part, view_position, series_number, performed_date, performed_time)
      VALUES ${Prisma.join(values)}
      ON CONFLICT (study_id, series_instance_uid) DO UPDATE SET series_instance_uid = excluded.series_instance_uid
      RETURNING id, series_instance_uid`;
    return new Map(rows.map(({ id, series_instance_uid }) => [series_instance_uid, id]));
  }

  private async insertInstances(client: PrismaTransaction, records: readonly InstanceRecord[], studyId: string, series: ReadonlyMap<string, string>): Promise<ReadonlySet<string>> {
    const values = records.map((record) => Prisma.sql`(${record.id}::uuid, ${record.institutionId}::uuid, ${studyId}::uuid, ${series.get(record.series.seriesInstanceUid) ?? null}::uuid,
      ${record.sopInstanceUid}, ${record.sopClassUid}, ${record.transferSyntaxUid}, ${record.instanceNumber}::int, ${record.rows}::int, ${record.columns}::int, ${record.frames}::int,
      ${record.slicePositionMm}::float8, ${record.expectedInSeries}::int, ${record.expectedSeries}::int, ${record.expectedInStudy}::int,
      ${record.blobKey}, ${record.sizeBytes}::bigint, ${record.sha256}, ${record.sealed}, ${JSON.stringify(record.layout)}::jsonb, ${record.derived}::boolean)`);
    const rows = await client.$queryRaw<{ sop_instance_uid: string }[]>`
      INSERT INTO instances (id, institution_id, study_id, series_id, sop_instance_uid, sop_class_uid, transfer_syntax_uid, instance_number, rows, columns, frames,
        slice_position_mm, expected_in_series, expected_series, expected_in_study, blob_key, size_bytes, sha256, sealed, layout, derived)
      VALUES ${Prisma.join(values)}
      ON CONFLICT (institution_id, sop_instance_uid) DO NOTHING
      RETURNING sop_instance_uid`;
    return new Set(rows.map(({ sop_instance_uid }) => sop_instance_uid));
  }

  private async count(client: PrismaTransaction, inserted: readonly InstanceRecord[], studyId: string): Promise<void> {
    const uids = inserted.map(({ series }) => series.seriesInstanceUid);
    const sent = inserted.filter(({ derived }) => !derived).length;
    const sizeBytes = inserted.reduce((sum, record) => sum + record.sizeBytes, 0);
    const modalities = [...new Set(inserted.map(({ series }) => series.modality).filter((modality) => modality !== null))];
    const sopClasses = [...new Set(inserted.map(({ sopClassUid }) => sopClassUid))];
    await client.$executeRaw`
      UPDATE series SET instance_count = instance_count + n.added
      FROM (SELECT uid, count(*)::int AS added FROM unnest(${uids}::text[]) AS uid GROUP BY uid) n
      WHERE series.study_id = ${studyId}::uuid AND series.series_instance_uid = n.uid`;
    await client.$executeRaw`
      UPDATE studies SET
        instance_count = instance_count + ${inserted.length}::int, size_bytes = size_bytes + ${sizeBytes}::bigint,
        series_count = (SELECT count(*)::int FROM series WHERE study_id = ${studyId}::uuid),
        modalities = modalities || ARRAY(SELECT unnest(${modalities}::text[]) EXCEPT SELECT unnest(modalities)),
        sop_classes = sop_classes || ARRAY(SELECT unnest(${sopClasses}::text[]) EXCEPT SELECT unnest(sop_classes)),
        state = CASE WHEN ${sent}::int = 0 THEN state ELSE 'receiving' END,
        late_instances = CASE WHEN revision = 0 THEN 0 ELSE late_instances + ${sent}::int END,
        last_instance_at = CASE WHEN ${sent}::int = 0 THEN last_instance_at ELSE clock_timestamp() END,
        updated_at = clock_timestamp()
      WHERE id = ${studyId}::uuid`;
  }

  /** A study or series that was made for an instance whose UID is taken elsewhere. */
  private async dropEmpty(client: PrismaTransaction, studyId: string): Promise<void> {
    await client.$executeRaw`DELETE FROM series WHERE study_id = ${studyId}::uuid AND instance_count = 0`;
    await client.$executeRaw`DELETE FROM studies WHERE id = ${studyId}::uuid AND instance_count = 0`;
  }

  /**
   * Puts other bytes in the place of a stored instance and keeps a row of what was there.
   *
   * @returns false when it was replaced or removed meanwhile
   */
  async replace(tx: Transaction, known: KnownInstance, record: InstanceRecord, index: BlindIndex): Promise<boolean> {
    const client = prismaOf(tx);
    // First of all, as every writer does: the study's row orders them.
    const [study] = await client.$queryRaw<StudyUpsert[]>`
      SELECT id, sealed, false AS is_new FROM studies WHERE institution_id = ${record.institutionId}::uuid AND study_instance_uid = ${record.study.studyInstanceUid} FOR UPDATE`;
    if (!study) return false;
    const kept = await client.$executeRaw`
      WITH present AS (SELECT * FROM instances WHERE id = ${known.id}::uuid AND sha256 = ${known.sha256} FOR UPDATE)
      INSERT INTO instance_versions (id, institution_id, study_id, sop_instance_uid, blob_key, size_bytes, sha256, stored_at)
      SELECT ${uuidv7()}::uuid, institution_id, study_id, sop_instance_uid, blob_key, size_bytes, sha256, created_at FROM present`;
    if (kept === 0) return false;
    await client.$executeRaw`
      UPDATE instances SET id = ${record.id}::uuid, sop_class_uid = ${record.sopClassUid}, transfer_syntax_uid = ${record.transferSyntaxUid}, instance_number = ${record.instanceNumber}::int,
        rows = ${record.rows}::int, columns = ${record.columns}::int, frames = ${record.frames}::int, slice_position_mm = ${record.slicePositionMm}::float8,
        expected_in_series = ${record.expectedInSeries}::int, expected_series = ${record.expectedSeries}::int, expected_in_study = ${record.expectedInStudy}::int,
        blob_key = ${record.blobKey}, size_bytes = ${record.sizeBytes}::bigint, sha256 = ${record.sha256}, sealed = ${record.sealed}, layout = ${JSON.stringify(record.layout)}::jsonb, created_at = now()
      WHERE id = ${known.id}::uuid`;
    // Whoever sends an instance again corrects what it says of the patient and the study.
    await this.describeStudy(client, study.id, { ...attributesOf(study, record.key), ...record.study.attributes }, record, index);
    await client.$executeRaw`
      UPDATE studies SET size_bytes = (SELECT sum(size_bytes) FROM instances WHERE study_id = studies.id), state = 'receiving',
        late_instances = CASE WHEN revision = 0 THEN 0 ELSE late_instances + 1 END, last_instance_at = clock_timestamp(), updated_at = clock_timestamp()
      WHERE id = ${study.id}::uuid`;
    return true;
  }
}

/** Sealed by us out of a DicomJson. */
function attributesOf({ id, sealed }: StudyUpsert, key: DataKey): DicomJson {
  return JSON.parse(openJson(key, sealed, sealContext.study(id))) as DicomJson;
}

/** An upsert that updates always returns its row. */
function onlyRow<Row>(rows: readonly Row[]): Row {
  const [row] = rows;
  if (row === undefined) throw new Error('an upsert returned no row');
  return row;
}
