import { Injectable } from '@nestjs/common';
import { Prisma } from '../../generated/prisma/client.js';
import type { Transaction } from '../../kernel/transaction.js';
import { uuidv7 } from '../../kernel/uid.js';
import { Database, prismaOf } from '../../platform/database/database.js';

export interface RefreshToken {
  id: string;
  institutionId: string;
  userId: string;
  familyId: string;
  scope: string;
  expiresAt: Date;
  usedAt: Date | null;
  revokedAt: Date | null;
}

export interface NewRefreshToken {
  institutionId: string;
  userId: string;
  familyId: string;
  tokenHash: string;
  scope: string;
  expiresAt: Date;
}

/** Every change here happens under the lock on the token's user (`UsersStore.lock`). */
@Injectable()
export class RefreshTokensStore {
  constructor(private readonly database: Database) {}

  /** Whose it is, to lock that user before anything is decided. */
  async ownerOf(tokenHash: string): Promise<string | undefined> {
    const [row] = await this.database.read<{ userId: string }>('system', Prisma.sql`SELECT user_id AS "userId" FROM refresh_tokens WHERE token_hash = ${tokenHash}`);
    return row?.userId;
  }

  async find(tx: Transaction, tokenHash: string): Promise<RefreshToken | undefined> {
    return (await prismaOf(tx).refreshToken.findUnique({ where: { tokenHash } })) ?? undefined;
  }

  /** Stores a token, and forgets those of the user that have expired. */
  async add(tx: Transaction, token: NewRefreshToken): Promise<void> {
    const client = prismaOf(tx);
    await client.refreshToken.deleteMany({ where: { userId: token.userId, expiresAt: { lt: new Date() } } });
    await client.refreshToken.create({ data: { ...token, id: uuidv7() } });
  }

  async markUsed(tx: Transaction, id: string): Promise<void> {
    await prismaOf(tx).refreshToken.update({ where: { id }, data: { usedAt: new Date() } });
  }
}
