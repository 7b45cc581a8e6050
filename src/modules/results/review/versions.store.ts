import { Injectable } from '@nestjs/common';
import { Prisma, type ResultVersion } from '../../../generated/prisma/client.js';
import type { Transaction } from '../../../kernel/transaction.js';
import { uuidv7 } from '../../../kernel/uid.js';
import { columnsOf } from '../../../platform/database/columns.js';
import { Database, prismaOf } from '../../../platform/database/database.js';
import type { OriginalContent, ResultStatus, ReviewState } from '../results.store.js';

/** What a signature of a person is over, and the installation's signature over that. */
export interface StoredSignature {
  statement: { type: string; resultId: string; version: number; contentDigest: string; by: string; name: string; meaning: string; proof: 'password' | 'second-factor'; at: string };
  signature: { algorithm: 'Ed25519'; keyId: string; value: string };
}

export interface NewVersion {
  institutionId: string;
  resultId: string;
  version: number;
  kind: ReviewState['kind'];
  status: ResultStatus;
  /** Without what was said in words. */
  decisions: readonly object[];
  content: OriginalContent;
  sealed: Uint8Array | null;
  authorId: string;
  authorName: string;
  signature: StoredSignature | null;
}

export interface VersionRecord extends NewVersion {
  id: string;
  createdAt: Date;
}

const COLUMNS = columnsOf(Prisma.ResultVersionScalarFieldEnum);

/** Versions of results from the second on; rows are written once. */
@Injectable()
export class ResultVersionsStore {
  constructor(private readonly database: Database) {}

  async insert(tx: Transaction, version: NewVersion, at: Date): Promise<void> {
    const { decisions, content, signature, sealed, ...names } = version;
    await prismaOf(tx).resultVersion.create({
      data: {
        id: uuidv7(), ...names, createdAt: at, sealed: sealed && Uint8Array.from(sealed),
        // Plain data of our own types.
        decisions: decisions, content: content, signature: signature === null ? Prisma.DbNull : (signature as unknown as Prisma.InputJsonValue),
      },
    });
  }

  /** Newest first; `cursor` is the last id of the page before. */
  async list(institutionId: string, resultId: string, limit: number, cursor: string | undefined): Promise<VersionRecord[]> {
    const after = cursor === undefined ? Prisma.empty : Prisma.sql`AND id < ${cursor}::uuid`;
    const rows = await this.database.read<ResultVersion>({ institutionId }, Prisma.sql`
      SELECT ${COLUMNS} FROM result_versions WHERE result_id = ${resultId}::uuid AND institution_id = ${institutionId}::uuid ${after} ORDER BY id DESC LIMIT ${limit}::int`);
    return rows.map(recordOf);
  }

  async find(institutionId: string, resultId: string, version: number): Promise<VersionRecord | null> {
    const [row] = await this.database.read<ResultVersion>({ institutionId }, Prisma.sql`
      SELECT ${COLUMNS} FROM result_versions WHERE result_id = ${resultId}::uuid AND institution_id = ${institutionId}::uuid AND version = ${version}::int`);
    return row ? recordOf(row) : null;
  }
}

function recordOf(row: ResultVersion): VersionRecord {
  // `insert` above is the only writer of these columns.
  return {
    ...row, kind: row.kind as VersionRecord['kind'], status: row.status as ResultStatus,
    decisions: row.decisions as unknown as object[], content: row.content as unknown as OriginalContent, signature: row.signature as unknown as StoredSignature | null,
  };
}
