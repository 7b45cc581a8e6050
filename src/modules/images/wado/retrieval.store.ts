import { Injectable } from '@nestjs/common';
import { Prisma } from '../../../generated/prisma/client.js';
import type { Encoding } from '../../../imaging/dicom/elements.js';
import { AppError } from '../../../kernel/errors.js';
import { Database } from '../../../platform/database/database.js';
import type { InstanceLayout } from '../instance-layout.js';

/** A study, a series of it, or an instance of that. */
export interface RetrievalScope {
  institutionId: string;
  studyInstanceUid: string;
  seriesInstanceUid?: string;
  sopInstanceUid?: string;
}

export interface InstanceScope extends RetrievalScope {
  seriesInstanceUid: string;
  sopInstanceUid: string;
}

/** What it takes to send an instance as it is stored, and to decide whether to. */
export interface RetrievedInstance {
  /** A new one when other bytes take the place of these. */
  id: string;
  institutionId: string;
  keyId: string;
  studyInstanceUid: string;
  seriesInstanceUid: string;
  sopInstanceUid: string;
  sopClassUid: string;
  transferSyntaxUid: string;
  blobKey: string;
  sizeBytes: number;
  sha256: string;
  rows: number | null;
  columns: number | null;
  /** Of the data set as found. */
  encoding: Encoding;
  hasPixels: boolean;
  /** It came without preamble and prefix, mostly as a data set alone. */
  isBare: boolean;
}

/** What it takes to look into an instance. */
export interface InstanceDetail {
  sealed: Uint8Array;
  layout: InstanceLayout;
}

/** What tells one state of a study from another. */
export interface StudyVersion {
  studyId: string;
  updatedAt: Date;
}

/** One instance's attributes, encrypted. */
export interface SealedInstance extends StudyVersion {
  id: string;
  keyId: string;
  seriesInstanceUid: string;
  sopInstanceUid: string;
  sealed: Uint8Array;
}

const COLUMNS = Prisma.sql`
  i.id, t.key_id AS "keyId", t.study_instance_uid AS "studyInstanceUid", s.series_instance_uid AS "seriesInstanceUid", i.sop_instance_uid AS "sopInstanceUid",
  i.sop_class_uid AS "sopClassUid", i.transfer_syntax_uid AS "transferSyntaxUid", i.blob_key AS "blobKey", i.size_bytes AS "sizeBytes", i.sha256, i.rows, i.columns,
  i.layout -> 'encoding' AS encoding, jsonb_typeof(i.layout -> 'pixelData') <> 'null' AS "hasPixels", (i.layout -> 'bare') IS NOT NULL AS "isBare"`;
const FROM = Prisma.sql`FROM studies t JOIN instances i ON i.study_id = t.id JOIN series s ON s.id = i.series_id`;

type Row = Omit<RetrievedInstance, 'sizeBytes' | 'institutionId'> & { sizeBytes: bigint };

/** Instances as they are retrieved: in the order in which they came, page by page, so that no study is too large. */
@Injectable()
export class RetrievalStore {
  constructor(private readonly database: Database) {}

  /** The next instances behind `after`. */
  async page(scope: RetrievalScope, { after, limit }: { after: string | undefined; limit: number }): Promise<RetrievedInstance[]> {
    const rows = await this.database.read<Row>(scope, Prisma.sql`SELECT ${COLUMNS} ${FROM} WHERE ${within(scope)} ${behind(after)} ORDER BY i.id LIMIT ${limit}::int`);
    return rows.map((row) => retrieved(row, scope));
  }

  /** As `page`, with the attributes and nothing else. */
  async sealedPage(scope: RetrievalScope, { after, limit }: { after: string | undefined; limit: number }): Promise<SealedInstance[]> {
    return this.database.read<SealedInstance>(scope, Prisma.sql`
      SELECT i.id, t.id AS "studyId", t.updated_at AS "updatedAt", t.key_id AS "keyId", s.series_instance_uid AS "seriesInstanceUid", i.sop_instance_uid AS "sopInstanceUid", i.sealed
      ${FROM} WHERE ${within(scope)} ${behind(after)} ORDER BY i.id LIMIT ${limit}::int`);
  }

  /** @throws AppError `study-not-found`, `series-not-found`, `instance-not-found` */
  async instance(scope: InstanceScope): Promise<RetrievedInstance> {
    const [row] = await this.page(scope, { after: undefined, limit: 1 });
    return row ?? this.explainMissing(scope);
  }

  /** undefined when the instance was replaced or removed meanwhile. */
  async detail(institutionId: string, id: string): Promise<InstanceDetail | undefined> {
    const [row] = await this.database.read<{ sealed: Uint8Array; layout: InstanceLayout }>({ institutionId }, Prisma.sql`SELECT sealed, layout FROM instances WHERE id = ${id}::uuid`);
    return row;
  }

  /** All transfer syntaxes of a resource. */
  async syntaxes(scope: RetrievalScope): Promise<Pick<RetrievedInstance, 'transferSyntaxUid' | 'hasPixels' | 'encoding'>[]> {
    return this.database.read(scope, Prisma.sql`
      SELECT DISTINCT i.transfer_syntax_uid AS "transferSyntaxUid", i.layout -> 'encoding' AS encoding, jsonb_typeof(i.layout -> 'pixelData') <> 'null' AS "hasPixels" ${FROM} WHERE ${within(scope)}`);
  }

  /** @throws AppError `study-not-found`, `series-not-found`, `instance-not-found` */
  async version(scope: RetrievalScope): Promise<StudyVersion> {
    const [row] = await this.database.read<StudyVersion>(scope, Prisma.sql`SELECT t.id AS "studyId", t.updated_at AS "updatedAt" ${FROM} WHERE ${within(scope)} LIMIT 1`);
    return row ?? this.explainMissing(scope);
  }

  /** The image that stands for a study or series: the middle one of its largest series, what we derived last. */
  async representative(scope: RetrievalScope): Promise<RetrievedInstance | undefined> {
    const [row] = await this.database.read<Row>(scope, Prisma.sql`
      SELECT * FROM (
        SELECT ${COLUMNS}, i.derived, s.series_number AS "seriesNumber", row_number() OVER (PARTITION BY i.series_id ORDER BY i.instance_number NULLS LAST, i.id) AS place, count(*) OVER (PARTITION BY i.series_id) AS total
        ${FROM} WHERE ${within(scope)} AND i.rows > 0 AND i.columns > 0 AND jsonb_typeof(i.layout -> 'pixelData') <> 'null'
      ) images
      WHERE place = total / 2 + 1 ORDER BY derived, total DESC, "seriesNumber" NULLS LAST, id LIMIT 1`);
    return row && retrieved(row, scope);
  }

  /** Says which level is missing, once nothing was found. */
  async explainMissing(scope: RetrievalScope): Promise<never> {
    const [row] = await this.database.read<{ hasSeries: boolean }>(scope, Prisma.sql`
      SELECT EXISTS (SELECT 1 FROM series s WHERE s.study_id = t.id AND s.series_instance_uid = ${scope.seriesInstanceUid ?? ''}) AS "hasSeries"
      FROM studies t WHERE t.institution_id = ${scope.institutionId}::uuid AND t.study_instance_uid = ${scope.studyInstanceUid}`);
    if (row === undefined) throw new AppError('study-not-found');
    throw new AppError(row.hasSeries || scope.seriesInstanceUid === undefined ? 'instance-not-found' : 'series-not-found');
  }
}

function within({ institutionId, studyInstanceUid, seriesInstanceUid, sopInstanceUid }: RetrievalScope): Prisma.Sql {
  const conditions = [
    Prisma.sql`t.institution_id = ${institutionId}::uuid`,
    Prisma.sql`t.study_instance_uid = ${studyInstanceUid}`,
    ...(seriesInstanceUid === undefined ? [] : [Prisma.sql`s.series_instance_uid = ${seriesInstanceUid}`]),
    // With the institution, which finds the one row of a large study by an index.
    ...(sopInstanceUid === undefined ? [] : [Prisma.sql`i.institution_id = ${institutionId}::uuid AND i.sop_instance_uid = ${sopInstanceUid}`]),
  ];
  return Prisma.join(conditions, ' AND ');
}

function behind(after: string | undefined): Prisma.Sql {
  return after === undefined ? Prisma.empty : Prisma.sql`AND i.id > ${after}::uuid`;
}

function retrieved({ sizeBytes, ...row }: Row, { institutionId }: RetrievalScope): RetrievedInstance {
  return { ...row, institutionId, sizeBytes: Number(sizeBytes) };
}
