import { Injectable } from '@nestjs/common';
import { Prisma } from '../../../generated/prisma/client.js';
import { columnsOf } from '../../../platform/database/columns.js';
import { Database } from '../../../platform/database/database.js';
import { withinAny } from '../../../platform/database/ranges.js';
import type { CatalogueFilter, CataloguePage } from '../images.contract.js';

export type CatalogueStudyRow = Pick<Prisma.StudyGetPayload<object>, 'id' | 'keyId' | 'sealed' | 'studyInstanceUid' | 'patientId' | 'studyDate' | 'studyTime' | 'modalities' | 'seriesCount' | 'instanceCount' | 'updatedAt'>;
export type CatalogueSeriesRow = Prisma.SeriesGetPayload<object>;
export interface CatalogueInstanceRow { seriesId: string; sopInstanceUid: string; sopClassUid: string; instanceNumber: number | null }

const { id, keyId, sealed, studyInstanceUid, patientId, studyDate, studyTime, modalities, seriesCount, instanceCount, updatedAt } = Prisma.StudyScalarFieldEnum;
const STUDY_COLUMNS = columnsOf({ id, keyId, sealed, studyInstanceUid, patientId, studyDate, studyTime, modalities, seriesCount, instanceCount, updatedAt });
const SERIES_COLUMNS = columnsOf(Prisma.SeriesScalarFieldEnum);

/** Rows that others are told of. */
@Injectable()
export class CatalogueStore {
  constructor(private readonly database: Database) {}

  /** Newest first. */
  async studies(institutionId: string, filter: CatalogueFilter, { limit, cursor }: CataloguePage): Promise<CatalogueStudyRow[]> {
    const { ids = [], studyInstanceUids = [], patientIds = [], modalities: kinds = [], studyDates = [], updatedAt: updated = [] } = filter;
    const conditions = [
      Prisma.sql`institution_id = ${institutionId}::uuid`,
      ...(cursor === undefined ? [] : [Prisma.sql`id < ${cursor}::uuid`]),
      ...ids.map((some) => Prisma.sql`id = ANY (${[...some]}::uuid[])`),
      ...studyInstanceUids.map((some) => Prisma.sql`study_instance_uid = ANY (${[...some]}::text[])`),
      ...patientIds.map((some) => Prisma.sql`patient_id = ANY (${[...some]}::uuid[])`),
      ...kinds.map((some) => Prisma.sql`modalities && ${[...some]}::text[]`),
      ...studyDates.map((ranges) => withinAny('study_date', ranges)),
      ...updated.map((ranges) => withinAny('updated_at', ranges)),
    ];
    return this.database.read<CatalogueStudyRow>({ institutionId }, Prisma.sql`SELECT ${STUDY_COLUMNS} FROM studies WHERE ${Prisma.join(conditions, ' AND ')} ORDER BY id DESC LIMIT ${limit}::int`);
  }

  async seriesOf(institutionId: string, studyIds: readonly string[]): Promise<(CatalogueSeriesRow & { keyId: string })[]> {
    return this.database.read<CatalogueSeriesRow & { keyId: string }>({ institutionId }, Prisma.sql`
      SELECT ${SERIES_COLUMNS}, (SELECT key_id FROM studies WHERE id = series.study_id) AS "keyId" FROM series
      WHERE study_id = ANY (${[...studyIds]}::uuid[]) ORDER BY series_number, id`);
  }

  async instancesOf(institutionId: string, studyIds: readonly string[]): Promise<CatalogueInstanceRow[]> {
    return this.database.read<CatalogueInstanceRow>({ institutionId }, Prisma.sql`
      SELECT series_id AS "seriesId", sop_instance_uid AS "sopInstanceUid", sop_class_uid AS "sopClassUid", instance_number AS "instanceNumber" FROM instances
      WHERE study_id = ANY (${[...studyIds]}::uuid[]) ORDER BY instance_number, id`);
  }

  /** Ids of those that have one of these blind indexes. */
  async idsOf(institutionId: string, accessionTokens: readonly bigint[]): Promise<string[]> {
    const rows = await this.database.read<{ id: string }>({ institutionId }, Prisma.sql`
      SELECT id FROM studies WHERE institution_id = ${institutionId}::uuid AND accession_token = ANY (${[...accessionTokens]}::bigint[]) ORDER BY id DESC`);
    return rows.map((row) => row.id);
  }
}
