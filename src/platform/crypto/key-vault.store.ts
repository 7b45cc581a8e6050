import { Injectable } from '@nestjs/common';
import { Prisma } from '../../generated/prisma/client.js';
import type { Transaction } from '../../kernel/transaction.js';
import { Database, prismaOf } from '../database/database.js';

export type KeyPurpose = 'wrap' | 'index';

export interface InstitutionKeyRow {
  id: string;
  institutionId: string;
  purpose: KeyPurpose;
  version: number;
  wrapped: Uint8Array;
  masterKeyId: string;
}

export interface StudyKeyRow {
  id: string;
  institutionId: string;
  wrapped: Uint8Array;
  wrappingKeyId: string;
}

const INSTITUTION_KEY = Prisma.raw('id, institution_id AS "institutionId", purpose, version, wrapped, master_key_id AS "masterKeyId"');
const STUDY_KEY = Prisma.raw('id, institution_id AS "institutionId", wrapped, wrapping_key_id AS "wrappingKeyId"');

/** Wrapped keys. */
@Injectable()
export class KeyVaultStore {
  constructor(private readonly database: Database) {}

  async newestInstitutionKey(institutionId: string, purpose: KeyPurpose): Promise<InstitutionKeyRow | undefined> {
    const rows = await this.database.read<InstitutionKeyRow>({ institutionId }, Prisma.sql`
      SELECT ${INSTITUTION_KEY} FROM institution_keys WHERE institution_id = ${institutionId}::uuid AND purpose = ${purpose} ORDER BY version DESC LIMIT 1`);
    return rows[0];
  }

  async institutionKeys(ids: readonly string[]): Promise<InstitutionKeyRow[]> {
    return this.database.read<InstitutionKeyRow>('system', Prisma.sql`SELECT ${INSTITUTION_KEY} FROM institution_keys WHERE id = ANY (${ids}::uuid[])`);
  }

  /** Keeps the first of several processes that make a version at once. */
  async addInstitutionKey({ id, institutionId, purpose, version, wrapped, masterKeyId }: InstitutionKeyRow): Promise<void> {
    await this.database.transaction({ institutionId }, (tx) => prismaOf(tx).$executeRaw`
      INSERT INTO institution_keys (id, institution_id, purpose, version, wrapped, master_key_id)
      VALUES (${id}::uuid, ${institutionId}::uuid, ${purpose}, ${version}::int, ${wrapped}, ${masterKeyId}) ON CONFLICT (institution_id, purpose, version) DO NOTHING`);
  }

  /** By the UIDs of their studies. */
  async studyKeysOf(institutionId: string, studyInstanceUids: readonly string[]): Promise<Map<string, StudyKeyRow>> {
    const rows = await this.database.read<StudyKeyRow & { studyInstanceUid: string }>({ institutionId }, Prisma.sql`
      SELECT ${STUDY_KEY}, study_instance_uid AS "studyInstanceUid" FROM study_keys WHERE institution_id = ${institutionId}::uuid AND study_instance_uid = ANY (${studyInstanceUids}::text[])`);
    return new Map(rows.map((row) => [row.studyInstanceUid, row]));
  }

  async studyKeys(ids: readonly string[]): Promise<StudyKeyRow[]> {
    return this.database.read<StudyKeyRow>('system', Prisma.sql`SELECT ${STUDY_KEY} FROM study_keys WHERE id = ANY (${ids}::uuid[])`);
  }

  /** Keeps the first of several processes that make a study's key at once. @returns the one that is kept; undefined when the study was deleted meanwhile */
  async addStudyKey({ id, institutionId, wrapped, wrappingKeyId }: StudyKeyRow, studyInstanceUid: string): Promise<StudyKeyRow | undefined> {
    const [, kept] = await this.database.writeAll({ institutionId }, [
      Prisma.sql`
        INSERT INTO study_keys (id, institution_id, study_instance_uid, wrapped, wrapping_key_id)
        VALUES (${id}::uuid, ${institutionId}::uuid, ${studyInstanceUid}, ${wrapped}, ${wrappingKeyId}::uuid) ON CONFLICT (institution_id, study_instance_uid) DO NOTHING`,
      Prisma.sql`SELECT ${STUDY_KEY} FROM study_keys WHERE institution_id = ${institutionId}::uuid AND study_instance_uid = ${studyInstanceUid}`,
    ]);
    // The columns are those of a row.
    return kept?.[0] as StudyKeyRow | undefined;
  }

  /** Locks the keys' rows until the commit. @returns ids of those that are there */
  async hold(tx: Transaction, keyIds: readonly string[]): Promise<ReadonlySet<string>> {
    const rows = await prismaOf(tx).$queryRaw<{ id: string }[]>`SELECT id FROM study_keys WHERE id = ANY (${[...keyIds]}::uuid[]) ORDER BY id FOR KEY SHARE`;
    return new Set(rows.map(({ id }) => id));
  }

  async destroy(tx: Transaction, keyIds: readonly string[]): Promise<void> {
    await prismaOf(tx).$executeRaw`DELETE FROM study_keys WHERE id = ANY (${[...keyIds]}::uuid[])`;
  }

  /** Institutions' keys that another master key wraps. */
  async institutionKeysNotUnder(masterKeyId: string, limit: number): Promise<InstitutionKeyRow[]> {
    return this.database.read<InstitutionKeyRow>('system', Prisma.sql`SELECT ${INSTITUTION_KEY} FROM institution_keys WHERE master_key_id <> ${masterKeyId} ORDER BY id LIMIT ${limit}`);
  }

  async rewrapInstitutionKey({ id, institutionId, wrapped, masterKeyId }: InstitutionKeyRow): Promise<void> {
    await this.database.transaction({ institutionId }, (tx) => prismaOf(tx).$executeRaw`
      UPDATE institution_keys SET wrapped = ${wrapped}, master_key_id = ${masterKeyId} WHERE id = ${id}::uuid`);
  }

  /** Institutions that have keys. */
  async institutions(): Promise<string[]> {
    const rows = await this.database.read<{ id: string }>('system', Prisma.sql`SELECT DISTINCT institution_id AS id FROM institution_keys WHERE purpose = 'wrap'`);
    return rows.map(({ id }) => id);
  }

  /** Study keys of an institution that another key than `wrappingKeyId` wraps. */
  async studyKeysNotUnder(institutionId: string, wrappingKeyId: string, limit: number): Promise<StudyKeyRow[]> {
    return this.database.read<StudyKeyRow>({ institutionId }, Prisma.sql`
      SELECT ${STUDY_KEY} FROM study_keys WHERE institution_id = ${institutionId}::uuid AND wrapping_key_id <> ${wrappingKeyId}::uuid ORDER BY id LIMIT ${limit}`);
  }

  async rewrapStudyKeys(institutionId: string, rows: readonly StudyKeyRow[]): Promise<void> {
    await this.database.transaction({ institutionId }, (tx) => prismaOf(tx).$executeRaw`
      UPDATE study_keys SET wrapped = n.wrapped, wrapping_key_id = n.wrapping_key_id
      FROM (SELECT unnest(${rows.map(({ id }) => id)}::uuid[]) AS id, unnest(${rows.map(({ wrapped }) => wrapped)}::bytea[]) AS wrapped,
        unnest(${rows.map(({ wrappingKeyId }) => wrappingKeyId)}::uuid[]) AS wrapping_key_id) n
      WHERE study_keys.id = n.id`);
  }
}
