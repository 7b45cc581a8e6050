import { Injectable } from '@nestjs/common';
import { Prisma } from '../../generated/prisma/client.js';
import { Database } from '../../platform/database/database.js';

export interface ExportableInstance {
  id: string;
  seriesInstanceUid: string;
  sopInstanceUid: string;
  blobKey: string;
  /** Of the bytes as they were sent, hex. */
  sha256: string;
}

/** Enough that the database is asked rarely, little enough to hold. */
const PAGE_SIZE = 1000;

@Injectable()
export class DeidentifiedExportsStore {
  constructor(private readonly database: Database) {}

  /** The id of a study; undefined when the institution has no such study. */
  async findStudy(institutionId: string, studyInstanceUid: string): Promise<string | undefined> {
    const [row] = await this.database.read<{ id: string }>({ institutionId }, Prisma.sql`
      SELECT id FROM studies WHERE institution_id = ${institutionId}::uuid AND study_instance_uid = ${studyInstanceUid}`);
    return row?.id;
  }

  /** All instances of a study, in the order in which they came. */
  async *instancesOf(institutionId: string, studyId: string): AsyncGenerator<ExportableInstance> {
    let after = '00000000-0000-0000-0000-000000000000';
    for (;;) {
      const page = await this.database.read<ExportableInstance>({ institutionId }, Prisma.sql`
        SELECT i.id, s.series_instance_uid AS "seriesInstanceUid", i.sop_instance_uid AS "sopInstanceUid", i.blob_key AS "blobKey", i.sha256
        FROM instances i JOIN series s ON s.id = i.series_id
        WHERE i.institution_id = ${institutionId}::uuid AND i.study_id = ${studyId}::uuid AND i.id > ${after}::uuid
        ORDER BY i.id LIMIT ${PAGE_SIZE}::int`);
      yield* page;
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE_SIZE) return;
      after = last.id;
    }
  }
}
