import { Injectable } from '@nestjs/common';
import { Prisma } from '../../generated/prisma/client.js';
import { groupBy } from '../../kernel/group-by.js';
import type { Transaction } from '../../kernel/transaction.js';
import { uuidv7 } from '../../kernel/uid.js';
import { Database, prismaOf, type PrismaTransaction } from '../../platform/database/database.js';
import type { DerivedOutcome, InstanceObject, StudyPart } from './images.contract.js';
import { scalarsOf, type InstanceRecord } from './instance-record.js';
import { sealContext, sealJson } from './sealed-json.js';
import { storableJson } from './storable-json.js';

interface Surroundings {
  key_id: string;
  /** Of the instances that were read, how many are as they were. */
  unchanged: number;
  taken: boolean;
}

/** Rows of instances that we make of a study. They change nothing of what the study's row says of patient and study, and never when it got its last image. */
@Injectable()
export class DerivedInstancesStore {
  constructor(private readonly database: Database) {}

  /** The study must be locked, so that nobody replaces what was read between the look and the rows. */
  async insert(tx: Transaction, { institutionId, studyId, unchanged }: StudyPart, keyId: string, records: readonly InstanceRecord[]): Promise<DerivedOutcome> {
    const client = prismaOf(tx);
    const uids = records.map(({ sopInstanceUid }) => sopInstanceUid);
    // Two runs of one study end one after the other: each counts up what the other has left.
    const [study] = await client.$queryRaw<Surroundings[]>`
      SELECT s.key_id, (SELECT count(*)::int FROM instances i WHERE i.study_id = s.id AND i.id = ANY (${[...unchanged]}::uuid[])) AS unchanged,
        EXISTS (SELECT FROM instances i WHERE i.institution_id = s.institution_id AND i.sop_instance_uid = ANY (${uids}::text[])) AS taken
      FROM studies s WHERE s.id = ${studyId}::uuid AND s.institution_id = ${institutionId}::uuid FOR NO KEY UPDATE OF s`;
    if (study?.key_id !== keyId) return 'study-gone';
    if (study.unchanged !== new Set(unchanged).size) return 'input-changed';
    if (study.taken) return 'uid-taken';
    if (records.length === 0) return 'stored';
    const claimed = await this.insertAll(client, studyId, records);
    return claimed === records.length ? 'stored' : 'blob-lost';
  }

  /** Series, instances, counts and the end of the reservations in one statement. @returns blobs that were still reserved */
  private async insertAll(client: PrismaTransaction, studyId: string, records: readonly InstanceRecord[]): Promise<number> {
    const series = [...groupBy(records, ({ series: { seriesInstanceUid } }) => seriesInstanceUid).values()].map((together) => {
      const [{ institutionId, key, series: one }] = together;
      const id = uuidv7();
      return Prisma.sql`(${id}::uuid, ${institutionId}::uuid, ${studyId}::uuid, ${one.seriesInstanceUid}, ${sealJson(key, storableJson(one.attributes), sealContext.series(id))},
        ${one.modality}, ${one.bodyPart}, ${one.viewPosition}, ${one.seriesNumber}::int, ${one.performedDate}, ${one.performedTime}, ${together.length}::int)`;
    });
    const distinct = (values: readonly (string | null)[]): string[] => [...new Set(values)].filter((value) => value !== null);
    const [row] = await client.$queryRaw<{ claimed: number }[]>`
      WITH home AS (
        INSERT INTO series (id, institution_id, study_id, series_instance_uid, sealed, modality, body_part, view_position, series_number, performed_date, performed_time, instance_count)
        VALUES ${Prisma.join(series)}
        ON CONFLICT (study_id, series_instance_uid) DO UPDATE SET instance_count = series.instance_count + excluded.instance_count
        RETURNING id, series_instance_uid, (xmax = 0) AS is_new
      ), stored AS (
        INSERT INTO instances (id, institution_id, study_id, series_id, sop_instance_uid, sop_class_uid, transfer_syntax_uid, instance_number, rows, columns, frames,
          slice_position_mm, blob_key, size_bytes, sha256, derived, layout, sealed)
        SELECT r.id, r.institution_id, ${studyId}::uuid, home.id, r.sop_instance_uid, r.sop_class_uid, r.transfer_syntax_uid, r.instance_number, r.rows, r.columns, r.frames,
          r.slice_position_mm, r.blob_key, r.size_bytes, r.sha256, true, r.layout, r.sealed
        FROM ROWS FROM (
          jsonb_to_recordset(${JSON.stringify(records.map((record) => ({ ...scalarsOf(record), series_instance_uid: record.series.seriesInstanceUid })))}::jsonb) AS
            (id uuid, institution_id uuid, series_instance_uid text, sop_instance_uid text, sop_class_uid text, transfer_syntax_uid text, instance_number int, rows int, columns int, frames int,
             slice_position_mm float8, blob_key text, size_bytes bigint, sha256 text, layout jsonb),
          unnest(${records.map(({ sealed }) => sealed)}::bytea[])) AS r(id, institution_id, series_instance_uid, sop_instance_uid, sop_class_uid, transfer_syntax_uid, instance_number, rows, columns, frames,
             slice_position_mm, blob_key, size_bytes, sha256, layout, sealed)
        JOIN home USING (series_instance_uid)
      ), claimed AS (DELETE FROM blob_tombstones WHERE blob_key = ANY (${records.map(({ blobKey }) => blobKey)}::text[]) RETURNING 1)
      UPDATE studies SET
        instance_count = instance_count + ${records.length}::int, size_bytes = size_bytes + ${records.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)}::bigint,
        series_count = series_count + (SELECT count(*)::int FROM home WHERE is_new),
        modalities = modalities || ARRAY(SELECT modality FROM unnest(${distinct(records.map(({ series: { modality } }) => modality))}::text[]) WITH ORDINALITY AS made(modality, place) WHERE modality <> ALL (modalities) ORDER BY place),
        sop_classes = sop_classes || ARRAY(SELECT unnest(${distinct(records.map(({ sopClassUid }) => sopClassUid))}::text[]) EXCEPT SELECT unnest(sop_classes)),
        updated_at = clock_timestamp()
      WHERE id = ${studyId}::uuid
      RETURNING (SELECT count(*)::int FROM claimed) AS claimed`;
    return row?.claimed ?? 0;
  }

  /** With their series, when nothing else is in them; the bytes go with the next sweep. What is not ours, or not there, is passed over. */
  async remove(tx: Transaction, institutionId: string, sopInstanceUids: readonly string[]): Promise<void> {
    if (sopInstanceUids.length === 0) return;
    const client = prismaOf(tx);
    const gone = await client.$queryRaw<{ study_id: string }[]>`
      WITH gone AS (
        DELETE FROM instances WHERE institution_id = ${institutionId}::uuid AND sop_instance_uid = ANY (${[...sopInstanceUids]}::text[]) AND derived RETURNING study_id, series_id, blob_key
      ), buried AS (INSERT INTO blob_tombstones (blob_key) SELECT blob_key FROM gone ON CONFLICT DO NOTHING),
      counted AS (UPDATE series SET instance_count = instance_count - n.gone FROM (SELECT series_id, count(*)::int AS gone FROM gone GROUP BY series_id) n WHERE series.id = n.series_id)
      SELECT DISTINCT study_id FROM gone`;
    const studies = gone.map(({ study_id }) => study_id);
    if (studies.length === 0) return;
    await client.$executeRaw`DELETE FROM series WHERE study_id = ANY (${studies}::uuid[]) AND instance_count = 0`;
    await client.$executeRaw`
      UPDATE studies SET
        instance_count = (SELECT count(*)::int FROM instances WHERE study_id = studies.id), size_bytes = (SELECT coalesce(sum(size_bytes), 0) FROM instances WHERE study_id = studies.id),
        series_count = (SELECT count(*)::int FROM series WHERE study_id = studies.id),
        modalities = ARRAY(SELECT modality FROM series WHERE study_id = studies.id AND modality IS NOT NULL GROUP BY modality ORDER BY min(id::text)),
        sop_classes = ARRAY(SELECT DISTINCT sop_class_uid FROM instances WHERE study_id = studies.id), updated_at = clock_timestamp()
      WHERE id = ANY (${studies}::uuid[])`;
  }

  async find(institutionId: string, sopInstanceUid: string): Promise<InstanceObject | undefined> {
    const [row] = await this.database.read<InstanceObject>({ institutionId }, Prisma.sql`
      SELECT i.sop_instance_uid AS "sopInstanceUid", s.series_instance_uid AS "seriesInstanceUid", i.blob_key AS "blobKey", i.sha256
      FROM instances i JOIN series s ON s.id = i.series_id
      WHERE i.institution_id = ${institutionId}::uuid AND i.sop_instance_uid = ${sopInstanceUid} AND i.derived`);
    return row;
  }
}
