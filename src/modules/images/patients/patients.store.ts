import { Injectable } from '@nestjs/common';
import { Prisma } from '../../../generated/prisma/client.js';
import type { Transaction } from '../../../kernel/transaction.js';
import { uuidv7 } from '../../../kernel/uid.js';
import { Database, prismaOf } from '../../../platform/database/database.js';

export interface PatientFilter {
  /** Of patients' rows; each list names alternatives. */
  ids?: readonly (readonly string[])[] | undefined;
  /** Blind index. */
  patientIdToken?: bigint | undefined;
  /** Blind indexes, one of which a study of the patient has for its name. */
  nameTokens?: readonly bigint[] | undefined;
}

/** A patient as the rows of their studies tell of them, and the newest study, which says who they are. */
export interface PatientRow {
  id: string;
  createdAt: Date;
  newest: { id: string; keyId: string; sealed: Uint8Array };
  studyCount: number;
  studiesOnHold: number;
  /** DA of those studies that have a proper one. */
  firstStudyDate: string | null;
  lastStudyDate: string | null;
  modalities: string[];
  /** When one of the studies last changed. */
  updatedAt: Date;
}

/** A study that is to go with its patient, locked. */
export interface PatientStudy {
  id: string;
  institutionId: string;
  patientId: string | null;
  studyInstanceUid: string;
  keyId: string;
  legalHold: boolean;
  seriesCount: number;
  instanceCount: number;
  updatedAt: Date;
}

type FlatRow = Omit<PatientRow, 'newest'> & { studyId: string; keyId: string; sealed: Uint8Array };

/** Rows of patients. Every writer locks studies first, in the order of their UIDs, then patients, in the order of their tokens. */
@Injectable()
export class PatientsStore {
  constructor(private readonly database: Database) {}

  /**
   * The patients that these Patient IDs belong to; those that are missing are made. None of them goes away before the commit.
   *
   * @returns ids by token
   */
  async ensure(tx: Transaction, institutionId: string, patientIdTokens: readonly (bigint | null)[]): Promise<ReadonlyMap<bigint, string>> {
    const tokens = [...new Set(patientIdTokens)].filter((token) => token !== null).sort((a, b) => (a < b ? -1 : 1));
    if (tokens.length === 0) return new Map();
    // A patient who is there is only held, so that others who store studies of theirs need not wait.
    const rows = await prismaOf(tx).$queryRaw<{ id: string; token: bigint }[]>`
      WITH known AS (
        SELECT id, patient_id_token FROM patients WHERE institution_id = ${institutionId}::uuid AND patient_id_token = ANY (${tokens}::bigint[]) ORDER BY patient_id_token FOR KEY SHARE),
      made AS (
        INSERT INTO patients (id, institution_id, patient_id_token)
        SELECT wanted.id, ${institutionId}::uuid, wanted.token FROM unnest(${tokens.map(() => uuidv7())}::uuid[], ${tokens}::bigint[]) AS wanted(id, token)
        WHERE NOT EXISTS (SELECT FROM known WHERE known.patient_id_token = wanted.token) ORDER BY wanted.token
        ON CONFLICT (institution_id, patient_id_token) DO UPDATE SET patient_id_token = excluded.patient_id_token
        RETURNING id, patient_id_token)
      SELECT id, patient_id_token AS token FROM known UNION ALL SELECT id, patient_id_token FROM made`;
    return new Map(rows.map(({ id, token }) => [token, id]));
  }

  /** Removes those of these patients who have no study (any more). */
  async dropEmpty(tx: Transaction, patientIds: readonly (string | null)[]): Promise<void> {
    const ids = [...new Set(patientIds)].filter((id) => id !== null);
    if (ids.length === 0) return;
    const client = prismaOf(tx);
    // Held first: whoever stores a study of theirs meanwhile has committed then, and the second statement sees it.
    await client.$queryRaw`SELECT id FROM patients WHERE id = ANY (${ids}::uuid[]) ORDER BY patient_id_token FOR UPDATE`;
    await client.$executeRaw`DELETE FROM patients WHERE id = ANY (${ids}::uuid[]) AND NOT EXISTS (SELECT FROM studies WHERE patient_id = patients.id)`;
  }

  /** Newest first; one row more than `limit` when there are more. */
  async list(institutionId: string, { ids = [], patientIdToken, nameTokens }: PatientFilter, page: { limit: number; cursor?: string | undefined }): Promise<PatientRow[]> {
    const conditions = [
      Prisma.sql`p.institution_id = ${institutionId}::uuid`,
      ...ids.map((some) => Prisma.sql`p.id = ANY (${[...some]}::uuid[])`),
      page.cursor !== undefined && Prisma.sql`p.id < ${page.cursor}::uuid`,
      patientIdToken !== undefined && Prisma.sql`p.patient_id_token = ${patientIdToken}::bigint`,
      nameTokens !== undefined && Prisma.sql`EXISTS (SELECT FROM studies s WHERE s.patient_id = p.id AND s.search_tokens && ${nameTokens}::bigint[])`,
    ].filter((condition) => condition !== false);
    return this.read(institutionId, Prisma.sql`${Prisma.join(conditions, ' AND ')} ORDER BY p.id DESC LIMIT ${page.limit + 1}`);
  }

  /** Ids of those that have one of these blind indexes. */
  async idsOf(institutionId: string, tokens: readonly bigint[]): Promise<string[]> {
    const rows = await this.database.read<{ id: string }>({ institutionId }, Prisma.sql`
      SELECT id FROM patients WHERE institution_id = ${institutionId}::uuid AND patient_id_token = ANY (${[...tokens]}::bigint[])`);
    return rows.map(({ id }) => id);
  }

  async find(institutionId: string, id: string): Promise<PatientRow | null> {
    const [row] = await this.read(institutionId, Prisma.sql`p.institution_id = ${institutionId}::uuid AND p.id = ${id}::uuid`);
    return row ?? null;
  }

  /**
   * Locks a patient and all of their studies: nobody adds to them before the commit.
   *
   * @returns null when there is no such patient
   */
  async lockWhole(tx: Transaction, institutionId: string, id: string): Promise<PatientStudy[] | null> {
    const client = prismaOf(tx);
    const studies = (): Promise<PatientStudy[]> => client.$queryRaw<PatientStudy[]>`
      SELECT id, institution_id AS "institutionId", patient_id AS "patientId", study_instance_uid AS "studyInstanceUid", key_id AS "keyId", legal_hold AS "legalHold",
        series_count AS "seriesCount", instance_count AS "instanceCount", updated_at AS "updatedAt"
      FROM studies WHERE institution_id = ${institutionId}::uuid AND patient_id = ${id}::uuid ORDER BY study_instance_uid FOR UPDATE`;
    await studies();
    const patients = await client.$queryRaw<unknown[]>`SELECT 1 FROM patients WHERE id = ${id}::uuid AND institution_id = ${institutionId}::uuid FOR UPDATE`;
    // Once more: some may have come until the patient's own row was locked, and what they hold now is the last word.
    return patients.length === 0 ? null : studies();
  }

  async studyUids(institutionId: string, id: string): Promise<string[]> {
    const rows = await this.database.read<{ uid: string }>({ institutionId }, Prisma.sql`
      SELECT study_instance_uid AS uid FROM studies WHERE institution_id = ${institutionId}::uuid AND patient_id = ${id}::uuid ORDER BY study_instance_uid`);
    return rows.map(({ uid }) => uid);
  }

  /** Earlier bytes of instances that were replaced. */
  async countVersions(tx: Transaction, studyIds: readonly string[]): Promise<number> {
    return prismaOf(tx).instanceVersion.count({ where: { studyId: { in: [...studyIds] } } });
  }

  private async read(institutionId: string, conditions: Prisma.Sql): Promise<PatientRow[]> {
    const rows = await this.database.read<FlatRow>({ institutionId }, Prisma.sql`
      SELECT p.id, p.created_at AS "createdAt", newest.id AS "studyId", newest.key_id AS "keyId", newest.sealed, sums.*,
        ARRAY(SELECT DISTINCT unnest(modalities) FROM studies WHERE patient_id = p.id ORDER BY 1) AS modalities
      FROM patients p
      CROSS JOIN LATERAL (SELECT id, key_id, sealed FROM studies WHERE patient_id = p.id ORDER BY id DESC LIMIT 1) newest
      CROSS JOIN LATERAL (
        SELECT count(*)::int AS "studyCount", (count(*) FILTER (WHERE legal_hold))::int AS "studiesOnHold", max(updated_at) AS "updatedAt",
          min(study_date) FILTER (WHERE study_date ~ '^\\d{8}$') AS "firstStudyDate", max(study_date) FILTER (WHERE study_date ~ '^\\d{8}$') AS "lastStudyDate"
        FROM studies WHERE patient_id = p.id) sums
      WHERE ${conditions}`);
    return rows.map(({ studyId, keyId, sealed, ...row }) => ({ ...row, newest: { id: studyId, keyId, sealed } }));
  }
}
