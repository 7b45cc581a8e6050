import { Injectable } from '@nestjs/common';
import { RESULT_CLASSES } from '../../imaging/dicom/result-classes.js';
import { AppError } from '../../kernel/errors.js';
import type { Transaction } from '../../kernel/transaction.js';
import { Prisma } from '../../generated/prisma/client.js';
import { columnsOf } from '../../platform/database/columns.js';
import { Database, prismaOf } from '../../platform/database/database.js';
import type { CompletionReceipt, SeriesTally } from './settlement.js';

export interface StudyFilter {
  /** Id of a patient's row. */
  patientResourceId?: string | undefined;
  /** Blind indexes. */
  patientIdToken?: bigint | undefined;
  accessionToken?: bigint | undefined;
  modality?: string | undefined;
  /** `YYYYMMDD`, inclusive. */
  studyDateFrom?: string | undefined;
  studyDateTo?: string | undefined;
  state?: 'receiving' | 'complete' | undefined;
}

export type StudyRow = Prisma.StudyGetPayload<{ omit: { searchTokens: true } }>;
/** A study as lists show it. */
export type ListedStudyRow = Omit<StudyRow, 'earlierCompletions'>;
export type SeriesRow = Prisma.SeriesGetPayload<object>;
/** An instance without what only readers of its bytes want to know. */
export type InstanceRow = Omit<Prisma.InstanceGetPayload<object>, 'layout'>;

/** A study with the images that an analysis reads. */
export interface StudyInputRows {
  study: StudyRow;
  series: SeriesRow[];
  instances: InstanceRow[];
}

/** A study's place in the order in which studies last got something. */
export interface StudyPlace {
  lastInstanceAt: Date;
  id: string;
}

/** What nobody looks at here: there may be hundreds of them in a row. */
const WITHOUT_TOKENS = { searchTokens: true } as const;

const { searchTokens: _tokens, ...STUDY_FIELDS } = Prisma.StudyScalarFieldEnum;
const { earlierCompletions: _completions, ...LISTED_FIELDS } = STUDY_FIELDS;
const { layout: _layout, ...INSTANCE_FIELDS } = Prisma.InstanceScalarFieldEnum;

/** Every column under its name in the row's type. */
const STUDY_COLUMNS = columnsOf(STUDY_FIELDS);
const LISTED_COLUMNS = columnsOf(LISTED_FIELDS);
const SERIES_COLUMNS = columnsOf(Prisma.SeriesScalarFieldEnum);
const INSTANCE_COLUMNS = columnsOf(INSTANCE_FIELDS);

/** Studies as they are asked for, settled and removed. */
@Injectable()
export class StudiesStore {
  constructor(private readonly database: Database) {}

  /** Newest first; one row more than `limit` when there are more. */
  async list(institutionId: string, { patientResourceId, patientIdToken, accessionToken, modality, state, studyDateFrom, studyDateTo }: StudyFilter, page: { limit: number; cursor?: string | undefined }): Promise<ListedStudyRow[]> {
    const conditions = [
      Prisma.sql`institution_id = ${institutionId}::uuid`,
      page.cursor !== undefined && Prisma.sql`id < ${page.cursor}::uuid`,
      patientResourceId !== undefined && Prisma.sql`patient_id = ${patientResourceId}::uuid`,
      patientIdToken !== undefined && Prisma.sql`patient_id_token = ${patientIdToken}::bigint`,
      accessionToken !== undefined && Prisma.sql`accession_token = ${accessionToken}::bigint`,
      modality !== undefined && Prisma.sql`modalities @> ARRAY[${modality}]`,
      state !== undefined && Prisma.sql`state = ${state}`,
      studyDateFrom !== undefined && Prisma.sql`study_date >= ${studyDateFrom}`,
      studyDateTo !== undefined && Prisma.sql`study_date <= ${studyDateTo}`,
    ].filter((condition) => condition !== false);
    return this.database.read<ListedStudyRow>({ institutionId }, Prisma.sql`
      SELECT ${LISTED_COLUMNS} FROM studies WHERE ${Prisma.join(conditions, ' AND ')} ORDER BY id DESC LIMIT ${page.limit + 1}`);
  }

  async find(institutionId: string, studyInstanceUid: string): Promise<StudyRow | null> {
    const rows = await this.database.read<StudyRow>({ institutionId }, Prisma.sql`
      SELECT ${STUDY_COLUMNS} FROM studies WHERE institution_id = ${institutionId}::uuid AND study_instance_uid = ${studyInstanceUid}`);
    return rows[0] ?? null;
  }

  /** This study, and the others of its patient. */
  async ofSamePatient(institutionId: string, studyInstanceUid: string): Promise<{ studyInstanceUid: string; studyDate: string | null; createdAt: Date }[]> {
    return this.database.read({ institutionId }, Prisma.sql`
      SELECT other.study_instance_uid AS "studyInstanceUid", other.study_date AS "studyDate", other.created_at AS "createdAt"
      FROM studies own JOIN studies other ON other.id = own.id OR (other.institution_id = own.institution_id AND other.patient_id = own.patient_id)
      WHERE own.institution_id = ${institutionId}::uuid AND own.study_instance_uid = ${studyInstanceUid}`);
  }

  async findById(institutionId: string, id: string): Promise<StudyRow | null> {
    const rows = await this.database.read<StudyRow>({ institutionId }, Prisma.sql`
      SELECT ${STUDY_COLUMNS} FROM studies WHERE id = ${id}::uuid AND institution_id = ${institutionId}::uuid`);
    return rows[0] ?? null;
  }

  /** As `find`, and nobody changes or removes the study before the commit. */
  async findForUpdate(tx: Transaction, institutionId: string, studyInstanceUid: string): Promise<StudyRow | null> {
    const client = prismaOf(tx);
    await client.$queryRaw`SELECT id FROM studies WHERE institution_id = ${institutionId}::uuid AND study_instance_uid = ${studyInstanceUid} FOR UPDATE`;
    return client.study.findUnique({ where: { institutionId_studyInstanceUid: { institutionId, studyInstanceUid } }, omit: WITHOUT_TOKENS });
  }

  /** Keeps the study from being removed before the commit, without holding up ingest. */
  async lock(tx: Transaction, institutionId: string, id: string): Promise<boolean> {
    const rows = await prismaOf(tx).$queryRaw<unknown[]>`SELECT 1 FROM studies WHERE id = ${id}::uuid AND institution_id = ${institutionId}::uuid FOR KEY SHARE`;
    return rows.length > 0;
  }

  async seriesOf(institutionId: string, studyId: string): Promise<SeriesRow[]> {
    return this.database.read<SeriesRow>({ institutionId }, Prisma.sql`SELECT ${SERIES_COLUMNS} FROM series WHERE study_id = ${studyId}::uuid ORDER BY series_number, id`);
  }

  /** A study with its images that came from outside, as an analysis wants them: by series, then by number. What is said about images is left out, whoever sent it. */
  async findInput(institutionId: string, which: { id: string } | { studyInstanceUid: string }): Promise<StudyInputRows | null> {
    const own = 'id' in which
      ? Prisma.sql`institution_id = ${institutionId}::uuid AND id = ${which.id}::uuid`
      : Prisma.sql`institution_id = ${institutionId}::uuid AND study_instance_uid = ${which.studyInstanceUid}`;
    const id = 'id' in which ? Prisma.sql`${which.id}::uuid` : Prisma.sql`(SELECT id FROM studies WHERE ${own})`;
    const [studies, instances, series] = await this.database.readAll({ institutionId }, [
      Prisma.sql`SELECT ${STUDY_COLUMNS} FROM studies WHERE ${own}`,
      Prisma.sql`SELECT ${INSTANCE_COLUMNS} FROM instances WHERE study_id = ${id} AND NOT derived AND sop_class_uid <> ALL (${[...RESULT_CLASSES]}::text[]) ORDER BY series_id, instance_number, id`,
      // Last, so that no instance comes without its series.
      Prisma.sql`SELECT ${SERIES_COLUMNS} FROM series WHERE study_id = ${id} ORDER BY series_number, id`,
    ]);
    // Rows of the statements above.
    const [study] = (studies ?? []) as StudyRow[];
    if (!study) return null;
    // A study that was deleted and sent again meanwhile is another one.
    const isOwn = ({ studyId }: { studyId: string }): boolean => studyId === study.id;
    return { study, series: ((series ?? []) as SeriesRow[]).filter(isOwn), instances: ((instances ?? []) as InstanceRow[]).filter(isOwn) };
  }

  /** Up to `limit` studies that got nothing new for `quietSeconds`, locked; studies that others hold are passed over. */
  async claimQuiet(tx: Transaction, quietSeconds: number, limit: number): Promise<StudyRow[]> {
    const client = prismaOf(tx);
    const rows = await client.$queryRaw<{ id: string }[]>`
      SELECT id FROM studies
      WHERE state = 'receiving' AND last_instance_at <= now() - make_interval(secs => ${quietSeconds}::double precision)
      ORDER BY last_instance_at LIMIT ${limit}::int FOR UPDATE SKIP LOCKED`;
    return client.study.findMany({ where: { id: { in: rows.map(({ id }) => id) } }, omit: WITHOUT_TOKENS });
  }

  /**
   * Receiving studies that seem to have all that was announced for them, newest first. Only one instance of each series is asked
   * what was announced, so `tally` has the last word.
   *
   * @param behind  only studies behind this place
   */
  async seeminglyWhole(limit: number, behind?: StudyPlace): Promise<(StudyPlace & { institutionId: string; studyInstanceUid: string })[]> {
    return this.database.read('system', Prisma.sql`
      SELECT t.id, t.last_instance_at AS "lastInstanceAt", t.institution_id AS "institutionId", t.study_instance_uid AS "studyInstanceUid"
      FROM studies t CROSS JOIN LATERAL (
        SELECT count(*) AS series, sum(s.instance_count) AS instances, bool_and(a.expected_in_series IS NOT NULL) AS bounded,
          coalesce(bool_and(s.instance_count = a.expected_in_series), true) AS whole, max(a.expected_series) AS expected_series, max(a.expected_in_study) AS expected_instances
        FROM series s CROSS JOIN LATERAL (
          SELECT i.expected_in_series, i.expected_series, i.expected_in_study FROM instances i WHERE i.series_id = s.id AND NOT i.derived LIMIT 1
        ) a
        WHERE s.study_id = t.id
      ) c
      WHERE t.state = 'receiving' AND c.whole AND coalesce(c.expected_series = c.series, true)
        AND (c.expected_instances = c.instances OR (c.expected_instances IS NULL AND c.expected_series IS NOT NULL AND c.bounded))
        ${behind ? Prisma.sql`AND (t.last_instance_at, t.id) < (${behind.lastInstanceAt}::timestamptz, ${behind.id}::uuid)` : Prisma.empty}
      ORDER BY t.last_instance_at DESC, t.id DESC LIMIT ${limit}`);
  }

  async tally(tx: Transaction, studyId: string): Promise<SeriesTally[]> {
    const rows = await prismaOf(tx).$queryRaw<(Omit<SeriesTally, 'instanceNumbers' | 'slicePositionsMm'> & { instanceNumbers: number[] | null; slicePositionsMm: number[] | null })[]>`
      SELECT s.series_instance_uid AS "seriesInstanceUid", count(*)::int AS instances,
        array_agg(i.instance_number) FILTER (WHERE i.instance_number IS NOT NULL) AS "instanceNumbers",
        array_agg(i.slice_position_mm) FILTER (WHERE i.slice_position_mm IS NOT NULL) AS "slicePositionsMm",
        max(i.expected_in_series) AS expected, max(i.expected_series) AS "expectedSeries", max(i.expected_in_study) AS "expectedInStudy"
      FROM instances i JOIN series s ON s.id = i.series_id
      WHERE i.study_id = ${studyId}::uuid AND NOT i.derived
      GROUP BY s.id, s.series_instance_uid ORDER BY s.id`;
    return rows.map((row) => ({ ...row, instanceNumbers: row.instanceNumbers ?? [], slicePositionsMm: row.slicePositionsMm ?? [] }));
  }

  /** Keeps the receipt of the revision before. */
  async complete(tx: Transaction, { id, completion, earlierCompletions }: StudyRow, receipt: CompletionReceipt): Promise<StudyRow> {
    const earlier = [...(earlierCompletions as Prisma.JsonArray), ...(completion === null ? [] : [completion])];
    const [row] = await prismaOf(tx).$queryRaw<StudyRow[]>`
      UPDATE studies SET state = 'complete', revision = ${receipt.revision}::int, completed_at = ${receipt.at}::timestamptz, late_instances = 0, completion = ${JSON.stringify(receipt)}::jsonb,
        earlier_completions = ${JSON.stringify(earlier)}::jsonb, updated_at = now()
      WHERE id = ${id}::uuid RETURNING ${STUDY_COLUMNS}`;
    if (!row) throw new AppError('study-not-found');
    return row;
  }

  async setLegalHold(tx: Transaction, id: string, legalHold: boolean): Promise<StudyRow> {
    return prismaOf(tx).study.update({ where: { id }, omit: WITHOUT_TOKENS, data: { legalHold } });
  }

  /** The study with its series and instances. */
  async remove(tx: Transaction, studyId: string): Promise<void> {
    await prismaOf(tx).study.delete({ where: { id: studyId } });
  }
}
