import { Injectable } from '@nestjs/common';
import { Prisma } from '../../generated/prisma/client.js';
import { Database } from '../database/database.js';
import { KeyFilter } from './key-filter.js';

/** A table that names blobs. A test holds this list against the schema: what is missing here would be taken for an orphan. */
interface BlobReference {
  table: string;
  /** In whose order the table is read, page by page. */
  order: Prisma.Sql;
  /** A set of texts: the keys that a row names. */
  keys: Prisma.Sql;
}

const ANY_DEPTH = Prisma.raw(`'$.**.blobKey'`);
const column = (name: string): Prisma.Sql => Prisma.sql`unnest(ARRAY[${Prisma.raw(name)}])`;
const inJson = (name: string): Prisma.Sql => Prisma.sql`jsonb_path_query(${Prisma.raw(name)}, ${ANY_DEPTH}) #>> '{}'`;

/** Tombstones first: a blob goes from there into its row, and the reader of one after the other must not miss it on its way. */
export const BLOB_REFERENCES: readonly BlobReference[] = [
  { table: 'blob_tombstones', order: Prisma.sql`blob_key`, keys: column('blob_key') },
  { table: 'instances', order: Prisma.sql`id::text`, keys: column('blob_key') },
  { table: 'instance_versions', order: Prisma.sql`id::text`, keys: column('blob_key') },
  { table: 'uploads', order: Prisma.sql`id::text`, keys: inJson('segments') },
  { table: 'results', order: Prisma.sql`id::text`, keys: inJson('rendering') },
  { table: 'model_files', order: Prisma.sql`blob_key`, keys: column('blob_key') },
];

/** A page costs the event loop some milliseconds. */
const PAGE = 2_000;

const NAMED = Prisma.join(BLOB_REFERENCES.map(({ table, keys }) => Prisma.sql`SELECT ${keys} AS key FROM ${Prisma.raw(table)}`), ' UNION ALL ');

/** Which blobs are named by rows. */
@Injectable()
export class OrphansStore {
  constructor(private readonly database: Database) {}

  /** All keys that any row names. */
  async named(): Promise<KeyFilter> {
    const counts = await this.database.read<{ total: number }>('system', Prisma.sql`SELECT count(*)::int AS total FROM (${NAMED}) named`);
    // While it is read, some may be added.
    const filter = new KeyFilter(Math.ceil((counts[0]?.total ?? 0) * 1.1) + 1_000);
    for (const reference of BLOB_REFERENCES) await this.addAll(filter, reference);
    return filter;
  }

  /** Of these keys, those that no row names, buried for the next sweep; what is asked is one moment for all tables. @returns how many */
  async bury(keys: readonly string[]): Promise<number> {
    const { count } = await this.database.write('system', Prisma.sql`
      INSERT INTO blob_tombstones (blob_key) SELECT key FROM unnest(${[...keys]}::text[]) AS key WHERE key NOT IN (SELECT key FROM (${NAMED}) named WHERE key IS NOT NULL) ON CONFLICT DO NOTHING`);
    return count;
  }

  private async addAll(filter: KeyFilter, { table, order, keys }: BlobReference): Promise<void> {
    for (let after = ''; ;) {
      const rows = await this.database.read<{ place: string; keys: string[] }>('system', Prisma.sql`
        SELECT ${order} AS place, ARRAY(SELECT ${keys}) AS keys FROM ${Prisma.raw(table)} WHERE ${order} > ${after} ORDER BY ${order} LIMIT ${PAGE}::int`);
      for (const row of rows) for (const key of row.keys) filter.add(key);
      const last = rows.at(-1);
      if (!last || rows.length < PAGE) return;
      after = last.place;
    }
  }
}
