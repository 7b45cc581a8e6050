import { Injectable } from '@nestjs/common';
import { Prisma } from '../../generated/prisma/client.js';
import type { Transaction } from '../../kernel/transaction.js';
import { uuidv7 } from '../../kernel/uid.js';
import { columnsOf } from '../../platform/database/columns.js';
import { Database, prismaOf } from '../../platform/database/database.js';
import type { PageQuery } from '../../platform/http/page.js';

export interface ApiKey {
  id: string;
  institutionId: string;
  userId: string;
  name: string;
  prefix: string;
  scopes: string[];
  /** CIDR; none = from anywhere. */
  addresses: string[];
  createdAt: Date;
  expiresAt: Date | null;
  lastUsedAt: Date | null;
  revokedAt: Date | null;
}

export interface NewApiKey {
  institutionId: string;
  userId: string;
  name: string;
  prefix: string;
  keyHash: string;
  scopes: string[];
  addresses: string[];
  expiresAt: Date | null;
}

export type ApiKeyChange = Partial<Pick<ApiKey, 'name' | 'scopes' | 'addresses' | 'expiresAt'>>;

/** Which keys a caller may see: one person's, or all of the institution. */
export interface ApiKeyOwner {
  institutionId: string;
  userId?: string;
}

const COLUMNS = columnsOf(Prisma.ApiKeyScalarFieldEnum);

@Injectable()
export class ApiKeysStore {
  constructor(private readonly database: Database) {}

  async create(key: NewApiKey): Promise<ApiKey> {
    return this.database.transaction(key, async (tx) => apiKeyOf(await prismaOf(tx).apiKey.create({ data: { ...key, id: uuidv7() } })));
  }

  /** The page's rows and one more, oldest first; revoked ones too, with their date. */
  async list(owner: ApiKeyOwner, { limit, cursor }: PageQuery): Promise<ApiKey[]> {
    const rows = await this.database.read<ApiKey>(owner, Prisma.sql`
      SELECT ${COLUMNS} FROM api_keys WHERE ${ownedBy(owner)} ${cursor === undefined ? Prisma.empty : Prisma.sql`AND id > ${cursor}::uuid`} ORDER BY id LIMIT ${limit + 1}::int`);
    return rows.map(apiKeyOf);
  }

  async find(owner: ApiKeyOwner, id: string): Promise<ApiKey | undefined> {
    const [row] = await this.database.read<ApiKey>(owner, Prisma.sql`SELECT ${COLUMNS} FROM api_keys WHERE id = ${id}::uuid AND ${ownedBy(owner)}`);
    return row ? apiKeyOf(row) : undefined;
  }

  /** For the guard, who learns the institution from the row. */
  async findByHash(keyHash: string): Promise<ApiKey | undefined> {
    const [row] = await this.database.read<ApiKey>('system', Prisma.sql`SELECT ${COLUMNS} FROM api_keys WHERE key_hash = ${keyHash}`);
    return row ? apiKeyOf(row) : undefined;
  }

  /** Reads the row and holds it until the transaction ends. */
  async lock(tx: Transaction, owner: ApiKeyOwner, id: string): Promise<ApiKey | undefined> {
    const client = prismaOf(tx);
    await client.$queryRaw`SELECT id FROM api_keys WHERE id = ${id}::uuid FOR UPDATE`;
    const row = await client.apiKey.findFirst({ where: { ...owner, id } });
    return row ? apiKeyOf(row) : undefined;
  }

  async change(tx: Transaction, id: string, change: ApiKeyChange): Promise<ApiKey> {
    return apiKeyOf(await prismaOf(tx).apiKey.update({ where: { id }, data: change }));
  }

  /** Keeps the first date when it was revoked before. */
  async revoke({ institutionId, id }: ApiKey): Promise<void> {
    await this.database.write({ institutionId }, Prisma.sql`UPDATE api_keys SET revoked_at = now() WHERE id = ${id}::uuid AND revoked_at IS NULL`);
  }

  /** Writes at most once a minute, however many processes see the key used. */
  async touch({ institutionId, id }: ApiKey): Promise<void> {
    await this.database.write({ institutionId }, Prisma.sql`
      UPDATE api_keys SET last_used_at = now() WHERE id = ${id}::uuid AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')`);
  }
}

function ownedBy({ institutionId, userId }: ApiKeyOwner): Prisma.Sql {
  return Prisma.sql`institution_id = ${institutionId}::uuid ${userId === undefined ? Prisma.empty : Prisma.sql`AND user_id = ${userId}::uuid`}`;
}

function apiKeyOf({ id, institutionId, userId, name, prefix, scopes, addresses, createdAt, expiresAt, lastUsedAt, revokedAt }: ApiKey): ApiKey {
  return { id, institutionId, userId, name, prefix, scopes, addresses, createdAt, expiresAt, lastUsedAt, revokedAt };
}
