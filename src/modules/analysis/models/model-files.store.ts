import { Injectable } from '@nestjs/common';
import { Prisma } from '../../../generated/prisma/client.js';
import { AppError } from '../../../kernel/errors.js';
import type { Transaction } from '../../../kernel/transaction.js';
import { uuidv7 } from '../../../kernel/uid.js';
import { Database } from '../../../platform/database/database.js';
import { lockModels, type ModelRecord, type ModelRow } from './models.store.js';

/** Packs are of the installation and of no institution: their keys and blobs stand under this id. */
export const INSTALLATION = '00000000-0000-0000-0000-000000000000';

export interface StoredFile {
  path: string;
  sha256: string;
  sizeBytes: number;
  blobKey: string;
}

/** Far longer than one file takes to be made durable. */
const RESERVATION_MINUTES = 60;

/** Uploaded packs: their rows and the blobs of their files. */
@Injectable()
export class ModelFilesStore {
  constructor(private readonly database: Database) {}

  /** Announces blobs before their bytes, so that the sweep takes them when no `add` follows. */
  async reserve(blobKeys: readonly string[]): Promise<void> {
    await this.database.write('system', Prisma.sql`
      INSERT INTO blob_tombstones (blob_key, due_at) SELECT key, now() + make_interval(mins => ${RESERVATION_MINUTES}::int) FROM unnest(${[...blobKeys]}::text[]) AS key`);
  }

  /** Lets the sweep have blobs now. */
  async release(blobKeys: readonly string[]): Promise<void> {
    await this.database.write('system', Prisma.sql`UPDATE blob_tombstones SET due_at = now() WHERE blob_key = ANY (${[...blobKeys]}::text[])`);
  }

  /**
   * The row of an uploaded pack, to be checked. One that was rejected is tried again, or gives its place to other content.
   *
   * @returns `isNew` false when the very same pack is there; its blobs are kept then, not these
   * @throws AppError `model-conflict` when another pack has the name and version
   */
  async add(tx: Transaction, { name, version, digest, analysis, recipe, manifest, signedBy }: ModelRecord, files: readonly StoredFile[]): Promise<{ row: ModelRow; isNew: boolean }> {
    const client = await lockModels(tx);
    const known = await client.model.findUnique({ where: { name_version: { name, version } } });
    if (known && known.state !== 'rejected') {
      if (known.digest !== digest) throw conflict(name, version);
      return { row: known, isNew: false };
    }
    if (known?.source === 'folder' && known.digest !== digest) throw conflict(name, version);
    const claimed = await client.blobTombstone.deleteMany({ where: { blobKey: { in: files.map(({ blobKey }) => blobKey) } } });
    if (claimed.count !== files.length) throw new AppError('blob-missing');
    const data = {
      // Parsed from JSON, so it is JSON.
      digest, analysis, recipe, manifest: manifest as Prisma.InputJsonValue, signedBy, state: 'checking', source: 'upload', reason: Prisma.DbNull, checkedAt: null,
    };
    const row = known ? await client.model.update({ where: { id: known.id }, data }) : await client.model.create({ data: { id: uuidv7(), name, version, ...data } });
    const old = await client.modelFile.findMany({ where: { modelId: row.id }, select: { blobKey: true } });
    await client.modelFile.deleteMany({ where: { modelId: row.id } });
    if (old.length > 0) await client.blobTombstone.createMany({ data: old, skipDuplicates: true });
    await client.modelFile.createMany({ data: files.map((file) => ({ modelId: row.id, ...file, sizeBytes: BigInt(file.sizeBytes) })) });
    return { row, isNew: true };
  }

  async ofDigest(digest: string): Promise<StoredFile[]> {
    const rows = await this.database.read<{ path: string; sha256: string; size: bigint; blobKey: string }>('system', Prisma.sql`
      SELECT f.path, f.sha256, f.size_bytes AS size, f.blob_key AS "blobKey" FROM model_files f JOIN models m ON m.id = f.model_id WHERE m.digest = ${digest} ORDER BY f.path`);
    return rows.map(({ size, ...row }) => ({ ...row, sizeBytes: Number(size) }));
  }

  /** Uploaded packs that nobody has tried yet. */
  async unchecked(): Promise<string[]> {
    const rows = await this.database.read<{ digest: string }>('system', Prisma.sql`SELECT digest FROM models WHERE source = 'upload' AND state = 'checking' ORDER BY id`);
    return rows.map(({ digest }) => digest);
  }
}

function conflict(name: string, version: string): AppError {
  return new AppError('model-conflict', { detail: `Another pack is installed as ${name}@${version}. Give this one another version.` });
}
