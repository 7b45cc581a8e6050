import { Injectable } from '@nestjs/common';
import { Prisma } from '../../../generated/prisma/client.js';
import type { Transaction } from '../../../kernel/transaction.js';
import { uuidv7 } from '../../../kernel/uid.js';
import { isUniqueViolation } from '../../../platform/database/database-errors.js';
import { Database, prismaOf } from '../../../platform/database/database.js';
import type { PageQuery } from '../../../platform/http/page.js';
import type { ClientJwks } from './client-jwks.js';

export const CLIENT_AUTHENTICATIONS = ['client_secret', 'private_key_jwt', 'tls_client_auth'] as const;
export type ClientAuthentication = (typeof CLIENT_AUTHENTICATIONS)[number];

/** What a client proves itself by. */
export interface ClientCredentials {
  /** Hex. */
  secretHash: string | null;
  jwks: ClientJwks | null;
  jwksUri: string | null;
  /** Hex. */
  certificateSha256: string | null;
}

/** What the institution decides about it. */
export interface ClientSettings {
  name: string;
  scopes: string[];
  /** CIDR; none = from anywhere. */
  addresses: string[];
  state: 'active' | 'disabled';
}

export interface OAuthClient extends ClientCredentials, ClientSettings {
  id: string;
  institutionId: string;
  authentication: ClientAuthentication;
  createdAt: Date;
  updatedAt: Date;
  lastUsedAt: Date | null;
}

export type NewOAuthClient = Omit<OAuthClient, 'id' | 'createdAt' | 'updatedAt' | 'lastUsedAt'> & { createdBy: string };
export type OAuthClientChange = Partial<ClientCredentials & ClientSettings>;

@Injectable()
export class OAuthClientsStore {
  constructor(private readonly database: Database) {}

  /** @returns undefined when the certificate belongs to another client */
  async create(client: NewOAuthClient): Promise<OAuthClient | undefined> {
    return untaken(this.database.transaction(client, async (tx) => {
      const { jwks, ...columns } = client;
      return clientOf(await prismaOf(tx).oAuthClient.create({ data: { ...columns, ...jsonOf(jwks), id: uuidv7() } }));
    }));
  }

  /** The page's rows and one more, oldest first. */
  async list(institutionId: string, { limit, cursor }: PageQuery): Promise<OAuthClient[]> {
    return this.database.transaction({ institutionId }, async (tx) => {
      const rows = await prismaOf(tx).oAuthClient.findMany({ where: { institutionId, ...(cursor !== undefined && { id: { gt: cursor } }) }, orderBy: { id: 'asc' }, take: limit + 1 });
      return rows.map(clientOf);
    });
  }

  async findIn(institutionId: string, id: string): Promise<OAuthClient | undefined> {
    return this.database.transaction({ institutionId }, async (tx) => {
      const row = await prismaOf(tx).oAuthClient.findFirst({ where: { id, institutionId } });
      return row ? clientOf(row) : undefined;
    });
  }

  /** For the token endpoint and the guard, who learn the institution from the row. */
  async find(id: string): Promise<OAuthClient | undefined> {
    return this.database.transaction('system', async (tx) => {
      const row = await prismaOf(tx).oAuthClient.findUnique({ where: { id } });
      return row ? clientOf(row) : undefined;
    });
  }

  /** @param sha256  hex */
  async findByCertificate(sha256: string): Promise<OAuthClient | undefined> {
    return this.database.transaction('system', async (tx) => {
      const row = await prismaOf(tx).oAuthClient.findUnique({ where: { certificateSha256: sha256 } });
      return row ? clientOf(row) : undefined;
    });
  }

  /** Reads the row and holds it until the transaction ends. */
  async lock(tx: Transaction, institutionId: string, id: string): Promise<OAuthClient | undefined> {
    const client = prismaOf(tx);
    await client.$queryRaw`SELECT id FROM oauth_clients WHERE id = ${id}::uuid AND institution_id = ${institutionId}::uuid FOR UPDATE`;
    const row = await client.oAuthClient.findFirst({ where: { id, institutionId } });
    return row ? clientOf(row) : undefined;
  }

  async change(tx: Transaction, id: string, { jwks, ...columns }: OAuthClientChange): Promise<OAuthClient> {
    return clientOf(await prismaOf(tx).oAuthClient.update({ where: { id }, data: { ...columns, ...jsonOf(jwks) } }));
  }

  async delete(tx: Transaction, id: string): Promise<void> {
    const client = prismaOf(tx);
    await client.clientAssertion.deleteMany({ where: { clientId: id } });
    await client.oAuthClient.delete({ where: { id } });
  }

  /** Writes at most once a minute, however many processes see it used. In SQL, so that `updated_at` and with it the ETag stay. */
  async touch({ id, institutionId }: Pick<OAuthClient, 'id' | 'institutionId'>): Promise<void> {
    await this.database.transaction({ institutionId }, async (tx) => {
      await prismaOf(tx).$executeRaw`UPDATE oauth_clients SET last_used_at = now() WHERE id = ${id}::uuid AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')`;
    });
  }

  /**
   * Takes an assertion, which is good once for all processes, and forgets those of the client that have expired.
   *
   * @returns false when it was taken before
   */
  async takeAssertion({ id, institutionId }: Pick<OAuthClient, 'id' | 'institutionId'>, jti: string, expiresAt: Date): Promise<boolean> {
    return this.database.transaction({ institutionId }, async (tx) => {
      const assertions = prismaOf(tx).clientAssertion;
      await assertions.deleteMany({ where: { clientId: id, expiresAt: { lt: new Date() } } });
      const { count } = await assertions.createMany({ data: [{ clientId: id, jti, institutionId, expiresAt }], skipDuplicates: true });
      return count === 1;
    });
  }
}

/** @returns undefined when the certificate belongs to another client */
export async function untaken<T>(write: Promise<T>): Promise<T | undefined> {
  try {
    return await write;
  } catch (error) {
    if (isUniqueViolation(error)) return undefined;
    throw error;
  }
}

/** Prisma tells the absence of JSON from JSON's null. */
function jsonOf(jwks: ClientJwks | null | undefined): { jwks?: Prisma.InputJsonValue | typeof Prisma.DbNull } {
  return jwks === undefined ? {} : { jwks: jwks ?? Prisma.DbNull };
}

interface ClientRow extends Omit<OAuthClient, 'authentication' | 'state' | 'jwks'> {
  authentication: string;
  state: string;
  jwks: unknown;
}

function clientOf(row: ClientRow): OAuthClient {
  const { id, institutionId, name, scopes, secretHash, jwks, jwksUri, certificateSha256, addresses, createdAt, updatedAt, lastUsedAt } = row;
  // A method that this version does not know proves nothing: such a client has no credentials that could match.
  const authentication = CLIENT_AUTHENTICATIONS.find((known) => known === row.authentication) ?? 'client_secret';
  return {
    id, institutionId, name, scopes, authentication, secretHash, jwksUri, certificateSha256, addresses, createdAt, updatedAt, lastUsedAt,
    // Only what `clientJwks` has parsed is ever written.
    jwks: jwks as ClientJwks | null,
    state: row.state === 'active' ? 'active' : 'disabled',
  };
}
