import { Injectable } from '@nestjs/common';
import { Prisma, type Model } from '../../../generated/prisma/client.js';
import type { Transaction } from '../../../kernel/transaction.js';
import { uuidv7 } from '../../../kernel/uid.js';
import { columnsOf } from '../../../platform/database/columns.js';
import { Database, prismaOf } from '../../../platform/database/database.js';
import type { RejectionReason } from './model-folder.js';
import { recordTransition } from './model-states.store.js';

export type ModelRow = Model;

/** checking → active | available | rejected; an administrator sets shadow and retired. */
export type ModelState = 'checking' | 'available' | 'active' | 'shadow' | 'retired' | 'rejected';

export interface ModelRecord {
  name: string;
  version: string;
  digest: string;
  analysis: string;
  recipe: string;
  manifest: unknown;
  signedBy: string | null;
  /** Set when the pack itself is broken. */
  reason: RejectionReason | null;
}

const COLUMNS = columnsOf(Prisma.ModelScalarFieldEnum);

@Injectable()
export class ModelsStore {
  constructor(private readonly database: Database) {}

  /**
   * Makes the row of name@version say what is on disk. The same content changes nothing; other content is another model, which
   * must be tried again.
   *
   * @returns null when an uploaded model has this name and version: what lies in a folder does not take its place
   */
  async upsert(record: ModelRecord): Promise<ModelRow | null> {
    return this.database.transaction('system', async (tx) => {
      const client = await lockModels(tx);
      const { name, version } = record;
      const known = await client.model.findUnique({ where: { name_version: { name, version } } });
      if (known?.digest === record.digest && (record.reason === null || known.state === 'rejected')) return known;
      if (known?.source === 'upload' && known.digest !== record.digest) return null;
      const data = {
        digest: record.digest, analysis: record.analysis, recipe: record.recipe, state: record.reason ? 'rejected' : 'checking', signedBy: record.signedBy,
        // Parsed from JSON, so it is JSON.
        manifest: record.manifest as Prisma.InputJsonValue, reason: record.reason ? { ...record.reason } : Prisma.DbNull, checkedAt: record.reason ? new Date() : null,
      };
      return known ? client.model.update({ where: { id: known.id }, data }) : client.model.create({ data: { id: uuidv7(), name, version, ...data } });
    });
  }

  /** Records that a worker tried a model. It becomes active when no other is for the same analysis and domain. */
  async conclude(digest: string, domain: unknown, rejection: RejectionReason | null): Promise<ModelState | null> {
    return this.database.transaction('system', async (tx) => {
      const client = await lockModels(tx);
      const row = await client.model.findUnique({ where: { digest } });
      if (!row || !['checking', 'rejected'].includes(row.state)) return null;
      const state: ModelState = rejection ? 'rejected' : (await this.isTaken(client, row, domain)) ? 'available' : 'active';
      await client.model.update({ where: { id: row.id }, data: { state, reason: rejection ? { ...rejection } : Prisma.DbNull, checkedAt: new Date() } });
      if (row.state !== state) await recordTransition(tx, row, state, { cause: 'checked', userId: null, reason: null });
      return state;
    });
  }

  async find(name: string, version: string): Promise<ModelRow | null> {
    return (await this.select(Prisma.sql`WHERE name = ${name} AND version = ${version}`))[0] ?? null;
  }

  async findByDigest(digest: string): Promise<ModelRow | null> {
    return (await this.select(Prisma.sql`WHERE digest = ${digest}`))[0] ?? null;
  }

  async ofIds(ids: readonly string[]): Promise<ModelRow[]> {
    return this.select(Prisma.sql`WHERE id = ANY (${[...ids]}::uuid[]) ORDER BY id`);
  }

  /** Every version of one model. */
  async versions(name: string): Promise<ModelRow[]> {
    return this.select(Prisma.sql`WHERE name = ${name}`);
  }

  /** Oldest first. */
  async inState(analyses: readonly string[], state: ModelState): Promise<ModelRow[]> {
    return this.select(Prisma.sql`WHERE analysis = ANY (${[...analyses]}::text[]) AND state = ${state} ORDER BY id`);
  }

  /** Newest first. */
  async list(filter: { analysis?: string | undefined; state?: string | undefined }, page: { limit: number; cursor?: string | undefined }): Promise<ModelRow[]> {
    const conditions = [
      Prisma.sql`true`,
      ...(filter.analysis === undefined ? [] : [Prisma.sql`analysis = ${filter.analysis}`]),
      ...(filter.state === undefined ? [] : [Prisma.sql`state = ${filter.state}`]),
      ...(page.cursor === undefined ? [] : [Prisma.sql`id < ${page.cursor}::uuid`]),
    ];
    return this.select(Prisma.sql`WHERE ${Prisma.join(conditions, ' AND ')} ORDER BY id DESC LIMIT ${page.limit + 1}::int`);
  }

  /** Models are of the installation. */
  private select(rest: Prisma.Sql): Promise<ModelRow[]> {
    return this.database.read<ModelRow>('system', Prisma.sql`SELECT ${COLUMNS} FROM models ${rest}`);
  }

  private async isTaken(client: Prisma.TransactionClient, row: ModelRow, domain: unknown): Promise<boolean> {
    const others = await client.$queryRaw<unknown[]>`
      SELECT 1 FROM models WHERE analysis = ${row.analysis} AND state = 'active' AND id <> ${row.id}::uuid
        AND manifest->'domain' = ${JSON.stringify(domain)}::jsonb LIMIT 1`;
    return others.length > 0;
  }
}

/** One process at a time decides about models. */
export async function lockModels(tx: Transaction): Promise<Prisma.TransactionClient> {
  const client = prismaOf(tx);
  await client.$executeRaw`SELECT pg_advisory_xact_lock(hashtext('healthvision.models'))`;
  return client;
}
