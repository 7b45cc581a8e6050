import { Injectable } from '@nestjs/common';
import type { Transaction } from '../../kernel/transaction.js';
import { uuidv7 } from '../../kernel/uid.js';
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

@Injectable()
export class ApiKeysStore {
  constructor(private readonly database: Database) {}

  async create(key: NewApiKey): Promise<ApiKey> {
    return apiKeyOf(await this.database.client.apiKey.create({ data: { ...key, id: uuidv7() } }));
  }

  /** The page's rows and one more, oldest first; revoked ones too, with their date. */
  async list(owner: ApiKeyOwner, { limit, cursor }: PageQuery): Promise<ApiKey[]> {
    const rows = await this.database.client.apiKey.findMany({
      where: { ...owner, ...(cursor !== undefined && { id: { gt: cursor } }) }, orderBy: { id: 'asc' }, take: limit + 1,
    });
    return rows.map(apiKeyOf);
  }

  async find(owner: ApiKeyOwner, id: string): Promise<ApiKey | undefined> {
    const row = await this.database.client.apiKey.findFirst({ where: { ...owner, id } });
    return row ? apiKeyOf(row) : undefined;
  }

  /** For the guard, who learns the institution from the row. */
  async findByHash(keyHash: string): Promise<ApiKey | undefined> {
    const row = await this.database.client.apiKey.findUnique({ where: { keyHash } });
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
  async revoke(id: string): Promise<void> {
    await this.database.client.apiKey.updateMany({ where: { id, revokedAt: null }, data: { revokedAt: new Date() } });
  }

  /** Writes at most once a minute, however many processes see the key used. */
  async touch(id: string): Promise<void> {
    const now = new Date();
    const minuteAgo = new Date(now.getTime() - 60_000);
    await this.database.client.apiKey.updateMany({ where: { id, OR: [{ lastUsedAt: null }, { lastUsedAt: { lt: minuteAgo } }] }, data: { lastUsedAt: now } });
  }
}

function apiKeyOf({ id, institutionId, userId, name, prefix, scopes, addresses, createdAt, expiresAt, lastUsedAt, revokedAt }: ApiKey): ApiKey {
  return { id, institutionId, userId, name, prefix, scopes, addresses, createdAt, expiresAt, lastUsedAt, revokedAt };
}
