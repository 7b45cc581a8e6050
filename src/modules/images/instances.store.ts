import { Injectable } from '@nestjs/common';
import { Prisma } from '../../generated/prisma/client.js';
import { text } from '../../imaging/dicom/attributes.js';
import type { DicomJson } from '../../imaging/dicom/dicom-json.js';
import { isResultClass } from '../../imaging/dicom/result-classes.js';
import { groupBy } from '../../kernel/group-by.js';
import type { Transaction } from '../../kernel/transaction.js';
import { uuidv7 } from '../../kernel/uid.js';
import type { BlindIndex, DataKey } from '../../platform/crypto/key-vault.js';
import { Database, prismaOf, type PrismaTransaction } from '../../platform/database/database.js';
import { scalarsOf, type InstanceRecord } from './instance-record.js';
import { PatientsStore } from './patients/patients.store.js';
import { studyTokens } from './qido/search-tokens.js';
import { openJson, sealContext, sealJson } from './sealed-json.js';
import { storableJson, storableWord } from './storable-json.js';
import { attributesOf, described, filledUp, type Description, type Records, type StudyRow } from './study-description.js';

/** What is stored under a SOP Instance UID. */
export interface KnownInstance {
  id: string;
  sopInstanceUid: string;
  studyInstanceUid: string;
  seriesInstanceUid: string;
  sha256: string;
  blobKey: string;
  /** Made by us. */
  derived: boolean;
}

interface LockedStudy extends StudyRow {
  /** Ids of those series that are wanted and known, by UID. */
  series: Record<string, string> | null;
}

/** A study's row, locked, and what is to come under it. */
interface StudyGroup {
  id: string;
  records: Records;
  /** Id of each series by its UID. */
  series: Map<string, string>;
}

/** Of a study: those of its series, in their order. Searches go by the series, too. */
const MODALITIES = Prisma.raw('ARRAY(SELECT modality FROM series WHERE study_id = studies.id AND modality IS NOT NULL GROUP BY modality ORDER BY min(id::text))');

/** Rows of instances and of the studies and series that they build up. */
@Injectable()
export class InstancesStore {
  constructor(
    private readonly database: Database,
    private readonly patients: PatientsStore,
  ) {}

  /** Which of these are stored already. */
  async find(institutionId: string, sopInstanceUids: readonly string[]): Promise<Map<string, KnownInstance>> {
    const rows = await this.database.read<KnownInstance>({ institutionId }, Prisma.sql`
      SELECT i.id, i.sop_instance_uid AS "sopInstanceUid", i.sha256, i.blob_key AS "blobKey", i.derived, t.study_instance_uid AS "studyInstanceUid", s.series_instance_uid AS "seriesInstanceUid"
      FROM instances i JOIN studies t ON t.id = i.study_id JOIN series s ON s.id = i.series_id
      WHERE i.institution_id = ${institutionId}::uuid AND i.sop_instance_uid = ANY (${sopInstanceUids}::text[])`);
    return new Map(rows.map((row) => [row.sopInstanceUid, row]));
  }

  /**
   * Inserts instances of one institution with their studies and series. The studies' rows stay locked until the commit, so that
   * settling never counts half an instance; a complete study that gets a new image is receiving again. What is said about images
   * (SEG, SR) is none, or an analysis would start itself.
   *
   * @param records  of any number of studies; SOP Instance UIDs differ
   * @returns SOP Instance UIDs that were inserted; the others are taken
   */
  async insert(tx: Transaction, records: Records, index: BlindIndex): Promise<ReadonlySet<string>> {
    const client = prismaOf(tx);
    const groups = await this.lockStudies(tx, records, index);
    await this.addSeries(client, groups);
    const inserted = await this.insertInstances(client, groups);
    if (inserted.size > 0) await this.count(client, groups, inserted);
    if (inserted.size < records.length) await this.dropEmpty(tx, groups);
    return inserted;
  }

  /**
   * Locks the studies' rows, always in the order of their UIDs, then those of their patients; makes those that are missing, and fills
   * in what earlier instances did not say.
   */
  private async lockStudies(tx: Transaction, all: Records, index: BlindIndex): Promise<StudyGroup[]> {
    const [{ institutionId }] = all;
    const client = prismaOf(tx);
    const byUid = groupBy(all, ({ study }) => study.studyInstanceUid);
    const uids = [...byUid.keys()].sort();
    const rows = await client.$queryRaw<LockedStudy[]>`
      SELECT id, study_instance_uid, key_id, sealed, patient_id,
        (SELECT jsonb_object_agg(series_instance_uid, series.id) FROM series WHERE study_id = studies.id AND series_instance_uid = ANY (${[...new Set(all.map(({ series }) => series.seriesInstanceUid))]}::text[])) AS series
      FROM studies WHERE institution_id = ${institutionId}::uuid AND study_instance_uid = ANY (${uids}::text[]) ORDER BY study_instance_uid FOR UPDATE`;
    const there = new Map(rows.map((row) => [row.study_instance_uid, row]));
    const missing = uids.filter((uid) => !there.has(uid)).flatMap((uid) => { const records = byUid.get(uid); return records ? [{ records, ...described(records, index) }] : []; });
    const filled = rows.flatMap((row) => filledUp(row, byUid.get(row.study_instance_uid), index));
    const patients = await this.patients.ensure(tx, institutionId, [...missing, ...filled].map(({ tokens }) => tokens.patientIdToken));
    for (const { row, key, ...description } of filled) await this.describeStudy(tx, row, key, description, patients);
    const made = await this.makeStudies(client, missing, patients);
    for (const row of made.known.values()) {
      for (const { key, ...description } of filledUp(row, byUid.get(row.study_instance_uid), index)) await this.describeStudy(tx, row, key, description, patients);
    }
    // Who was made for a study that another transaction made meanwhile may have none.
    if (made.known.size > 0) await this.patients.dropEmpty(tx, [...patients.values()]);
    return [...byUid].map(([uid, records]) => {
      const row = there.get(uid) ?? made.known.get(uid);
      return { id: onlyRow([row?.id ?? made.fresh.get(uid)]), records, series: new Map(Object.entries(there.get(uid)?.series ?? {})) };
    });
  }

  /** @returns ids of those that were made, and rows of those that another transaction made meanwhile, by UID */
  private async makeStudies(client: PrismaTransaction, groups: readonly ({ records: Records } & Description)[], patients: ReadonlyMap<bigint, string>): Promise<{ fresh: Map<string, string>; known: Map<string, StudyRow> }> {
    if (groups.length === 0) return { fresh: new Map(), known: new Map() };
    const values = groups.map(({ records, attributes, tokens }) => {
      const [{ institutionId, key, study }] = records;
      const id = uuidv7();
      return Prisma.sql`(${id}::uuid, ${institutionId}::uuid, ${study.studyInstanceUid}, ${key.id}::uuid, ${sealJson(key, storableJson(attributes), sealContext.study(id))},
        ${tokens.patientIdToken === null ? null : patients.get(tokens.patientIdToken)}::uuid, ${tokens.patientIdToken}::bigint, ${tokens.accessionToken}::bigint, ${tokens.searchTokens}::bigint[],
        ${study.studyDate}, ${study.studyTime}, '{}', '{}', now(), now())`;
    });
    const rows = await client.$queryRaw<(StudyRow & { is_new: boolean })[]>`
      INSERT INTO studies (id, institution_id, study_instance_uid, key_id, sealed, patient_id, patient_id_token, accession_token, search_tokens, study_date, study_time,
        modalities, sop_classes, last_instance_at, updated_at)
      VALUES ${Prisma.join(values)}
      ON CONFLICT (institution_id, study_instance_uid) DO UPDATE SET study_instance_uid = excluded.study_instance_uid
      RETURNING id, study_instance_uid, key_id, sealed, patient_id, (xmax = 0) AS is_new`;
    return {
      fresh: new Map(rows.filter(({ is_new }) => is_new).map(({ id, study_instance_uid }) => [study_instance_uid, id])),
      known: new Map(rows.filter(({ is_new }) => !is_new).map((row) => [row.study_instance_uid, row])),
    };
  }

  /** Writes what the study's row says of patient and study. Who has no study any more thereby goes. */
  private async describeStudy(tx: Transaction, { id, patient_id: before }: StudyRow, key: DataKey, { attributes, tokens }: Description, patients: ReadonlyMap<bigint, string>): Promise<void> {
    const { patientIdToken, accessionToken, searchTokens } = tokens;
    const word = (keyword: string): string | null => storableWord(text(attributes, keyword));
    const patientId = patientIdToken === null ? null : onlyRow([patients.get(patientIdToken) ?? before ?? undefined]);
    await prismaOf(tx).$executeRaw`
      UPDATE studies SET sealed = ${sealJson(key, storableJson(attributes), sealContext.study(id))}, patient_id = ${patientId}::uuid, patient_id_token = ${patientIdToken}::bigint,
        accession_token = ${accessionToken}::bigint, search_tokens = ${searchTokens}::bigint[], study_date = ${word('StudyDate')}, study_time = ${word('StudyTime')}
      WHERE id = ${id}::uuid`;
    if (before !== patientId) await this.patients.dropEmpty(tx, [before]);
  }

  /** Makes the series that are missing. */
  private async addSeries(client: PrismaTransaction, groups: readonly StudyGroup[]): Promise<void> {
    const missing = groups.flatMap(({ id: studyId, records, series: known }) => {
      const firsts = new Map(records.map((record) => [record.series.seriesInstanceUid, record]));
      return [...firsts.values()].filter(({ series }) => !known.has(series.seriesInstanceUid)).map((record) => ({ studyId, record }));
    });
    if (missing.length === 0) return;
    const values = missing.sort((a, b) => (a.record.series.seriesInstanceUid < b.record.series.seriesInstanceUid ? -1 : 1)).map(({ studyId, record: { institutionId, key, series } }) => {
      const id = uuidv7();
      return Prisma.sql`(${id}::uuid, ${institutionId}::uuid, ${studyId}::uuid, ${series.seriesInstanceUid}, ${sealJson(key, storableJson(series.attributes), sealContext.series(id))},
        ${series.modality}, ${series.bodyPart}, ${series.viewPosition}, ${series.seriesNumber}::int, ${series.performedDate}, ${series.performedTime})`;
    });
    const rows = await client.$queryRaw<{ id: string; study_id: string; series_instance_uid: string }[]>`
      INSERT INTO series (id, institution_id, study_id, series_instance_uid, sealed, modality, body_part, view_position, series_number, performed_date, performed_time)
      VALUES ${Prisma.join(values)}
      ON CONFLICT (study_id, series_instance_uid) DO UPDATE SET series_instance_uid = excluded.series_instance_uid
      RETURNING id, study_id, series_instance_uid`;
    for (const { id, study_id, series_instance_uid } of rows) groups.find((group) => group.id === study_id)?.series.set(series_instance_uid, id);
  }

  private async insertInstances(client: PrismaTransaction, groups: readonly StudyGroup[]): Promise<ReadonlySet<string>> {
    // In one order always: whoever inserts the same ones meanwhile waits, and never for us as well.
    const all = groups.flatMap(({ id, records, series }) => records.map((record) => ({ record, studyId: id, seriesId: series.get(record.series.seriesInstanceUid) })))
      .sort((a, b) => (a.record.sopInstanceUid < b.record.sopInstanceUid ? -1 : 1));
    const rows = await client.$queryRaw<{ sop_instance_uid: string }[]>`
      INSERT INTO instances (id, institution_id, study_id, series_id, sop_instance_uid, sop_class_uid, transfer_syntax_uid, instance_number, rows, columns, frames,
        slice_position_mm, expected_in_series, expected_series, expected_in_study, blob_key, size_bytes, sha256, derived, layout, sealed)
      SELECT * FROM ROWS FROM (
        jsonb_to_recordset(${JSON.stringify(all.map(({ record, studyId, seriesId }) => ({ ...scalarsOf(record), study_id: studyId, series_id: seriesId })))}::jsonb) AS
          (id uuid, institution_id uuid, study_id uuid, series_id uuid, sop_instance_uid text, sop_class_uid text, transfer_syntax_uid text, instance_number int, rows int, columns int, frames int,
           slice_position_mm float8, expected_in_series int, expected_series int, expected_in_study int, blob_key text, size_bytes bigint, sha256 text, derived boolean, layout jsonb),
        unnest(${all.map(({ record }) => record.sealed)}::bytea[]))
      ON CONFLICT (institution_id, sop_instance_uid) DO NOTHING
      RETURNING sop_instance_uid`;
    return new Set(rows.map(({ sop_instance_uid }) => sop_instance_uid));
  }

  /** The moment of the last instance has indexes: told four times a second at most, it lets PostgreSQL change the study's row in place meanwhile. */
  private async count(client: PrismaTransaction, groups: readonly StudyGroup[], inserted: ReadonlySet<string>): Promise<void> {
    const series: { id: string | undefined; added: number }[] = [];
    const studies: { id: string; [count: string]: unknown }[] = [];
    for (const { id, records, series: ids } of groups) {
      const added = records.filter(({ sopInstanceUid }) => inserted.has(sopInstanceUid));
      if (added.length === 0) continue;
      for (const [uid, seriesId] of ids) series.push({ id: seriesId, added: added.filter((record) => record.series.seriesInstanceUid === uid).length });
      studies.push({
        id,
        added: added.length,
        sent: added.filter(({ sopClassUid }) => !isResultClass(sopClassUid)).length,
        size_bytes: added.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
        sop_classes: [...new Set(added.map(({ sopClassUid }) => sopClassUid))],
        traceparent: added.at(-1)?.traceparent ?? null,
      });
    }
    const counted = series.filter(({ added }) => added > 0);
    // The ids once more, as lists: of those PostgreSQL knows that they are few, of records it does not.
    await client.$executeRaw`
      WITH counted AS (
        UPDATE series SET instance_count = instance_count + n.added
        FROM jsonb_to_recordset(${JSON.stringify(counted)}::jsonb) AS n(id uuid, added int) WHERE series.id = n.id AND series.id = ANY (${counted.map(({ id }) => id)}::uuid[]))
      UPDATE studies SET
        instance_count = instance_count + n.added, size_bytes = studies.size_bytes + n.size_bytes,
        series_count = (SELECT count(*)::int FROM series WHERE study_id = studies.id),
        modalities = ${MODALITIES},
        sop_classes = studies.sop_classes || ARRAY(SELECT unnest(n.sop_classes) EXCEPT SELECT unnest(studies.sop_classes)),
        state = CASE WHEN n.sent = 0 THEN state ELSE 'receiving' END,
        traceparent = CASE WHEN n.sent = 0 THEN studies.traceparent ELSE n.traceparent END,
        late_instances = CASE WHEN revision = 0 THEN 0 ELSE late_instances + n.sent END,
        last_instance_at = CASE WHEN n.sent = 0 OR last_instance_at > clock_timestamp() - interval '250 milliseconds' THEN last_instance_at ELSE clock_timestamp() END,
        updated_at = clock_timestamp()
      FROM jsonb_to_recordset(${JSON.stringify(studies)}::jsonb) AS n(id uuid, added int, sent int, size_bytes bigint, sop_classes text[], traceparent text)
      WHERE studies.id = n.id AND studies.id = ANY (${studies.map(({ id }) => id)}::uuid[])`;
  }

  /** Studies or series that were made for an instance whose UID is taken elsewhere. */
  private async dropEmpty(tx: Transaction, groups: readonly StudyGroup[]): Promise<void> {
    const client = prismaOf(tx);
    const ids = groups.map(({ id }) => id);
    await client.$executeRaw`DELETE FROM series WHERE study_id = ANY (${ids}::uuid[]) AND instance_count = 0`;
    const gone = await client.$queryRaw<{ patient_id: string | null }[]>`DELETE FROM studies WHERE id = ANY (${ids}::uuid[]) AND instance_count = 0 RETURNING patient_id`;
    await this.patients.dropEmpty(tx, gone.map(({ patient_id }) => patient_id));
  }

  /**
   * Puts other bytes in the place of a stored instance and keeps a row of what was there.
   *
   * @returns false when it was replaced or removed meanwhile
   */
  async replace(tx: Transaction, known: KnownInstance, record: InstanceRecord, index: BlindIndex): Promise<boolean> {
    const client = prismaOf(tx);
    // First of all, as every writer does: the study's row orders them.
    const [study] = await client.$queryRaw<StudyRow[]>`
      SELECT id, study_instance_uid, key_id, sealed, patient_id FROM studies WHERE institution_id = ${record.institutionId}::uuid AND study_instance_uid = ${record.study.studyInstanceUid} FOR UPDATE`;
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
        blob_key = ${record.blobKey}, size_bytes = ${record.sizeBytes}::bigint, sha256 = ${record.sha256}, sealed = ${record.sealed}, layout = ${JSON.stringify(record.layout)}::jsonb,
        created_at = now()
      WHERE id = ${known.id}::uuid`;
    // Whoever sends an instance again corrects what it says of the patient, the study and the series.
    const attributes = { ...attributesOf(study, record.key), ...record.study.attributes };
    const tokens = studyTokens(index, attributes);
    await this.describeStudy(tx, study, record.key, { attributes, tokens }, await this.patients.ensure(tx, record.institutionId, [tokens.patientIdToken]));
    await this.describeSeries(client, study.id, record);
    const isResult = isResultClass(record.sopClassUid);
    await client.$executeRaw`
      UPDATE studies SET size_bytes = (SELECT sum(size_bytes) FROM instances WHERE study_id = studies.id),
        modalities = ${MODALITIES},
        sop_classes = ARRAY(SELECT DISTINCT sop_class_uid FROM instances WHERE study_id = studies.id),
        state = CASE WHEN ${isResult}::boolean THEN state ELSE 'receiving' END,
        traceparent = CASE WHEN ${isResult}::boolean THEN traceparent ELSE ${record.traceparent ?? null} END,
        late_instances = CASE WHEN revision = 0 THEN 0 WHEN ${isResult}::boolean THEN late_instances ELSE late_instances + 1 END,
        last_instance_at = CASE WHEN ${isResult}::boolean THEN last_instance_at ELSE clock_timestamp() END, updated_at = clock_timestamp()
      WHERE id = ${study.id}::uuid`;
    return true;
  }

  private async describeSeries(client: PrismaTransaction, studyId: string, { key, series }: InstanceRecord): Promise<void> {
    const rows = await client.$queryRaw<{ id: string; sealed: Uint8Array }[]>`SELECT id, sealed FROM series WHERE study_id = ${studyId}::uuid AND series_instance_uid = ${series.seriesInstanceUid}`;
    const { id, sealed } = onlyRow(rows);
    // Sealed by us out of a DicomJson.
    const attributes = { ...(JSON.parse(openJson(key, sealed, sealContext.series(id))) as DicomJson), ...series.attributes };
    await client.$executeRaw`
      UPDATE series SET sealed = ${sealJson(key, storableJson(attributes), sealContext.series(id))}, modality = ${series.modality}, body_part = ${series.bodyPart},
        view_position = ${series.viewPosition}, series_number = ${series.seriesNumber}::int, performed_date = ${series.performedDate}, performed_time = ${series.performedTime}
      WHERE id = ${id}::uuid`;
  }
}

/** An upsert that updates always returns its row. */
function onlyRow<Row>(rows: readonly (Row | undefined)[]): Row {
  const [row] = rows;
  if (row === undefined) throw new Error('an upsert returned no row');
  return row;
}
