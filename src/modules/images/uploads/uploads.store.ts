import { Injectable } from '@nestjs/common';
import { Prisma } from '../../../generated/prisma/client.js';
import type { ErrorCode } from '../../../kernel/errors.js';
import type { Transaction } from '../../../kernel/transaction.js';
import { columnsOf } from '../../../platform/database/columns.js';
import { Database, prismaOf } from '../../../platform/database/database.js';

/** A stretch of an upload that is durable. */
export interface Segment {
  blobKey: string;
  sizeBytes: number;
}

/** `failed`: it could not be taken apart; what was wrong with single files is an item of `done`. */
export type UploadState = 'receiving' | 'storing' | 'done' | 'failed';

/** What a row keeps beside the state. */
export type UploadOutcome =
  /** While it is being stored: how often somebody had to be reminded of it. */
  | { kind: 'reminders'; count: number }
  /** When it is done: the fates of its files, encrypted (`uploads/<id>/outcome`), base64. Names of files may name patients. */
  | { kind: 'fates'; sealed: string }
  /** When it failed. */
  | { kind: 'problem'; code: ErrorCode; detail?: string };

export interface Upload {
  id: string;
  institutionId: string;
  /** null while the client does not know. */
  lengthBytes: number | null;
  offsetBytes: number;
  /** Upload-Metadata, encrypted (`uploads/<id>/metadata`). */
  sealedMetadata: Uint8Array | null;
  segments: readonly Segment[];
  state: UploadState;
  outcome: UploadOutcome | null;
  createdAt: Date;
  /** When it is removed; while it is being stored, when somebody must be reminded of it. */
  expiresAt: Date;
}

export type NewUpload = Pick<Upload, 'id' | 'institutionId' | 'lengthBytes' | 'sealedMetadata'> & { userId: string };

type Row = Prisma.UploadGetPayload<object>;

const COLUMNS = columnsOf(Prisma.UploadScalarFieldEnum);

/** Rows of resumable uploads. Every change names the state that it starts from, so that of two at once one comes to nothing. */
@Injectable()
export class UploadsStore {
  constructor(private readonly database: Database) {}

  async find(institutionId: string, id: string): Promise<Upload | undefined> {
    const rows = await this.database.read<Row>({ institutionId }, Prisma.sql`SELECT ${COLUMNS} FROM uploads WHERE id = ${id}::uuid AND institution_id = ${institutionId}::uuid`);
    return rows[0] && uploadOf(rows[0]);
  }

  /** An upload of no bytes is whole from the beginning. */
  async create(tx: Transaction, { id, institutionId, userId, lengthBytes, sealedMetadata }: NewUpload, expiryHours: number): Promise<Upload> {
    const rows = await prismaOf(tx).$queryRaw<Row[]>`
      INSERT INTO uploads (id, institution_id, user_id, length_bytes, sealed_metadata, state, expires_at)
      VALUES (${id}::uuid, ${institutionId}::uuid, ${userId}::uuid, ${lengthBytes}::bigint, ${sealedMetadata}, CASE WHEN ${lengthBytes}::bigint = 0 THEN 'storing' ELSE 'receiving' END, ${later(expiryHours)})
      RETURNING ${COLUMNS}`;
    return only(rows);
  }

  /** @returns undefined when the upload is not at `upload.offsetBytes` any more; `storing` when it is whole now */
  async append(tx: Transaction, { id, offsetBytes }: Upload, segment: Segment, expiryHours: number): Promise<Upload | undefined> {
    const rows = await prismaOf(tx).$queryRaw<Row[]>`
      UPDATE uploads SET offset_bytes = offset_bytes + ${segment.sizeBytes}::bigint, segments = segments || ${JSON.stringify([segment])}::jsonb, expires_at = ${later(expiryHours)},
        state = CASE WHEN length_bytes = offset_bytes + ${segment.sizeBytes}::bigint THEN 'storing' ELSE state END
      WHERE id = ${id}::uuid AND state = 'receiving' AND offset_bytes = ${offsetBytes}::bigint RETURNING ${COLUMNS}`;
    return rows[0] && uploadOf(rows[0]);
  }

  /** @returns undefined when the length is known already or less than what came; `storing` when the upload is whole with it */
  async announceLength(tx: Transaction, { id }: Upload, lengthBytes: number): Promise<Upload | undefined> {
    const rows = await prismaOf(tx).$queryRaw<Row[]>`
      UPDATE uploads SET length_bytes = ${lengthBytes}::bigint, state = CASE WHEN offset_bytes = ${lengthBytes}::bigint THEN 'storing' ELSE state END
      WHERE id = ${id}::uuid AND state = 'receiving' AND length_bytes IS NULL AND offset_bytes <= ${lengthBytes}::bigint RETURNING ${COLUMNS}`;
    return rows[0] && uploadOf(rows[0]);
  }

  /** The row, and the bytes with the next sweep. @returns false when there is none, or it is being stored */
  async remove(tx: Transaction, institutionId: string, id: string): Promise<boolean> {
    const rows = await prismaOf(tx).$queryRaw<{ segments: unknown }[]>`
      DELETE FROM uploads WHERE id = ${id}::uuid AND institution_id = ${institutionId}::uuid AND state <> 'storing' RETURNING segments`;
    await bury(tx, rows);
    return rows.length > 0;
  }

  /**
   * Takes the upload for storing, or goes on to hold it: nobody is reminded of it for `leaseMinutes`.
   *
   * @returns undefined when there is nothing (more) to store
   */
  async hold(tx: Transaction, id: string, leaseMinutes: number): Promise<Upload | undefined> {
    const rows = await prismaOf(tx).$queryRaw<Row[]>`
      UPDATE uploads SET expires_at = now() + make_interval(mins => ${leaseMinutes}::int) WHERE id = ${id}::uuid AND state = 'storing' RETURNING ${COLUMNS}`;
    return rows[0] && uploadOf(rows[0]);
  }

  /** Ends the storing; the bytes go with the next sweep, the outcome stays for `expiryHours`. Does nothing when somebody else was faster. */
  async finish(tx: Transaction, { id, segments }: Upload, state: 'done' | 'failed', outcome: UploadOutcome, expiryHours: number): Promise<void> {
    const finished = await prismaOf(tx).$executeRaw`
      UPDATE uploads SET state = ${state}, outcome = ${JSON.stringify(outcome)}::jsonb, segments = '[]', expires_at = ${later(expiryHours)} WHERE id = ${id}::uuid AND state = 'storing'`;
    if (finished > 0) await bury(tx, [{ segments }]);
  }

  /** Those that are done, in the order of their ids, behind `after`. */
  async done(institutionId: string, limit: number, after: string): Promise<Upload[]> {
    const rows = await this.database.read<Row>({ institutionId }, Prisma.sql`
      SELECT ${COLUMNS} FROM uploads WHERE institution_id = ${institutionId}::uuid AND state = 'done' AND id > ${after}::uuid ORDER BY id LIMIT ${limit}::int`);
    return rows.map(uploadOf);
  }

  /** Removes up to `limit` uploads whose time is over. @returns how many */
  async removeExpired(tx: Transaction, limit: number): Promise<number> {
    const rows = await prismaOf(tx).$queryRaw<{ segments: unknown }[]>`
      DELETE FROM uploads WHERE id IN (SELECT id FROM uploads WHERE expires_at < now() AND state <> 'storing' ORDER BY expires_at LIMIT ${limit}::int FOR UPDATE SKIP LOCKED) RETURNING segments`;
    await bury(tx, rows);
    return rows.length;
  }

  /** Up to `limit` uploads that are to be stored and nobody holds, each with one more reminder; held for `leaseMinutes`. */
  async remind(tx: Transaction, limit: number, leaseMinutes: number): Promise<Upload[]> {
    const rows = await prismaOf(tx).$queryRaw<Row[]>`
      UPDATE uploads SET expires_at = now() + make_interval(mins => ${leaseMinutes}::int),
        outcome = jsonb_build_object('kind', 'reminders', 'count', coalesce((outcome->>'count')::int, 0) + 1)
      WHERE id IN (SELECT id FROM uploads WHERE expires_at < now() AND state = 'storing' ORDER BY expires_at LIMIT ${limit}::int FOR UPDATE SKIP LOCKED) RETURNING ${COLUMNS}`;
    return rows.map(uploadOf);
  }
}

function later(hours: number): Prisma.Sql {
  return Prisma.sql`now() + make_interval(secs => ${hours * 3_600}::double precision)`;
}

/** Blobs that were named by rows which do so no longer. */
async function bury(tx: Transaction, rows: readonly { segments: unknown }[]): Promise<void> {
  const keys = rows.flatMap(({ segments }) => segmentsOf(segments).map(({ blobKey }) => blobKey));
  if (keys.length === 0) return;
  await prismaOf(tx).$executeRaw`INSERT INTO blob_tombstones (blob_key) SELECT unnest(${keys}::text[]) ON CONFLICT DO NOTHING`;
}

function only(rows: readonly Row[]): Upload {
  const [row] = rows;
  if (!row) throw new Error('an insert returned no row');
  return uploadOf(row);
}

function uploadOf({ id, institutionId, lengthBytes, offsetBytes, sealedMetadata, segments, state, outcome, createdAt, expiresAt }: Row): Upload {
  return {
    id, institutionId, sealedMetadata, createdAt, expiresAt,
    lengthBytes: lengthBytes === null ? null : Number(lengthBytes),
    offsetBytes: Number(offsetBytes),
    segments: segmentsOf(segments),
    // Both are written by this store only.
    state: state as UploadState,
    outcome: outcome as UploadOutcome | null,
  };
}

/** As `append` writes them. */
function segmentsOf(json: unknown): readonly Segment[] {
  return json as readonly Segment[];
}
