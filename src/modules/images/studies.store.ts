import { Injectable } from '@nestjs/common';
import type { Transaction } from '../../kernel/transaction.js';
import { Prisma } from '../../generated/prisma/client.js';
import { prismaOf } from '../../platform/database/database.js';
import type { CompletionReceipt, SeriesTally } from './settlement.js';

export interface StudyFilter {
  patientId?: string | undefined;
  modality?: string | undefined;
  /** `YYYYMMDD`, inclusive. */
  studyDateFrom?: string | undefined;
  studyDateTo?: string | undefined;
  state?: 'receiving' | 'complete' | undefined;
}

export type StudyRow = Prisma.StudyGetPayload<object>;
export type SeriesRow = Prisma.SeriesGetPayload<object>;
export type InstanceRow = Prisma.InstanceGetPayload<object>;

/** Studies as they are asked for, settled and removed. */
@Injectable()
export class StudiesStore {
  /** Newest first; one row more than `limit` when there are more. */
  async list(tx: Transaction, institutionId: string, filter: StudyFilter, page: { limit: number; cursor?: string | undefined }): Promise<StudyRow[]> {
    return prismaOf(tx).study.findMany({
      where: {
        institutionId,
        ...(page.cursor !== undefined && { id: { lt: page.cursor } }),
        ...(filter.patientId !== undefined && { patientId: filter.patientId }),
        ...(filter.modality !== undefined && { modalities: { has: filter.modality } }),
        ...(filter.state !== undefined && { state: filter.state }),
        ...((filter.studyDateFrom !== undefined || filter.studyDateTo !== undefined) && {
          studyDate: { ...(filter.studyDateFrom !== undefined && { gte: filter.studyDateFrom }), ...(filter.studyDateTo !== undefined && { lte: filter.studyDateTo }) },
        }),
      },
      orderBy: { id: 'desc' },
      take: page.limit + 1,
    });
  }

  async find(tx: Transaction, institutionId: string, studyInstanceUid: string): Promise<StudyRow | null> {
    return prismaOf(tx).study.findUnique({ where: { institutionId_studyInstanceUid: { institutionId, studyInstanceUid } } });
  }

  async findById(tx: Transaction, institutionId: string, id: string): Promise<StudyRow | null> {
    return prismaOf(tx).study.findFirst({ where: { id, institutionId } });
  }

  /** As `find`, and nobody changes or removes the study before the commit. */
  async findForUpdate(tx: Transaction, institutionId: string, studyInstanceUid: string): Promise<StudyRow | null> {
    const client = prismaOf(tx);
    await client.$queryRaw`SELECT id FROM studies WHERE institution_id = ${institutionId}::uuid AND study_instance_uid = ${studyInstanceUid} FOR UPDATE`;
    return this.find(tx, institutionId, studyInstanceUid);
  }

  /** Keeps the study from being removed before the commit, without holding up ingest. */
  async lock(tx: Transaction, institutionId: string, id: string): Promise<boolean> {
    const rows = await prismaOf(tx).$queryRaw<unknown[]>`SELECT 1 FROM studies WHERE id = ${id}::uuid AND institution_id = ${institutionId}::uuid FOR KEY SHARE`;
    return rows.length > 0;
  }

  async seriesOf(tx: Transaction, studyId: string): Promise<SeriesRow[]> {
    return prismaOf(tx).series.findMany({ where: { studyId }, orderBy: [{ seriesNumber: 'asc' }, { id: 'asc' }] });
  }

  /** Instances that came from outside, as an analysis wants them: by series, then by number. */
  async inputInstances(tx: Transaction, studyId: string): Promise<InstanceRow[]> {
    return prismaOf(tx).instance.findMany({ where: { studyId, derived: false }, orderBy: [{ seriesId: 'asc' }, { instanceNumber: 'asc' }, { id: 'asc' }] });
  }

  /** Up to `limit` studies that got nothing new for `quietSeconds`, locked; studies that others hold are passed over. */
  async claimQuiet(tx: Transaction, quietSeconds: number, limit: number): Promise<StudyRow[]> {
    const client = prismaOf(tx);
    const rows = await client.$queryRaw<{ id: string }[]>`
      SELECT id FROM studies
      WHERE state = 'receiving' AND last_instance_at <= now() - make_interval(secs => ${quietSeconds}::double precision)
      ORDER BY last_instance_at LIMIT ${limit}::int FOR UPDATE SKIP LOCKED`;
    return client.study.findMany({ where: { id: { in: rows.map(({ id }) => id) } } });
  }

  async tally(tx: Transaction, studyId: string): Promise<SeriesTally[]> {
    const rows = await prismaOf(tx).$queryRaw<{ series_instance_uid: string; instances: number; numbers: number[] | null; expected: string | null }[]>`
      SELECT s.series_instance_uid, count(*)::int AS instances,
        array_agg(i.instance_number) FILTER (WHERE i.instance_number IS NOT NULL) AS numbers,
        max(i.attributes #>> '{00201209,Value,0}') AS expected
      FROM instances i JOIN series s ON s.id = i.series_id
      WHERE i.study_id = ${studyId}::uuid AND NOT i.derived
      GROUP BY s.id, s.series_instance_uid ORDER BY s.id`;
    return rows.map(({ series_instance_uid, instances, numbers, expected }) => ({
      seriesInstanceUid: series_instance_uid, instances, instanceNumbers: numbers ?? [],
      expected: expected !== null && /^\d{1,9}$/.test(expected) ? Number(expected) : null,
    }));
  }

  async complete(tx: Transaction, studyId: string, receipt: CompletionReceipt): Promise<StudyRow> {
    return prismaOf(tx).study.update({
      where: { id: studyId },
      // A receipt is plain JSON; Prisma's type wants an index signature that an interface has not.
      data: { state: 'complete', revision: receipt.revision, completedAt: new Date(receipt.at), completion: receipt as unknown as Prisma.InputJsonObject },
    });
  }

  /** The study with its series and instances. */
  async remove(tx: Transaction, studyId: string): Promise<void> {
    await prismaOf(tx).study.delete({ where: { id: studyId } });
  }
}
