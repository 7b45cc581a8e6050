import { Injectable } from '@nestjs/common';
import { Prisma } from '../../generated/prisma/client.js';
import type { Transaction } from '../../kernel/transaction.js';
import { uuidv7 } from '../../kernel/uid.js';
import { columnsOf } from '../../platform/database/columns.js';
import { isUniqueViolation } from '../../platform/database/database-errors.js';
import { Database, prismaOf } from '../../platform/database/database.js';
import type { PageQuery } from '../../platform/http/page.js';
import type { Role } from './users.contract.js';

export interface User {
  id: string;
  institutionId: string;
  /** Lower case. */
  email: string;
  displayName: string;
  role: string;
  state: UserState;
  createdAt: Date;
  updatedAt: Date;
  lastSignInAt: Date | null;
  /** Whether they sign in with a code beside their password. */
  secondFactor: boolean;
}

/** Invited people have no password yet. */
export type UserState = 'invited' | 'active' | 'disabled';

export interface NewUser {
  institutionId: string;
  email: string;
  displayName: string;
  role: Role;
  /** null for people who are invited. */
  passwordHash: string | null;
}

export type UserChange = Partial<Pick<User, 'displayName' | 'state'> & { role: Role }>;

const COLUMNS = columnsOf(Prisma.UserScalarFieldEnum);

@Injectable()
export class UsersStore {
  constructor(private readonly database: Database) {}

  /** Whatever the institution: for the sign-in and the guard, who learn it from the row. */
  async find(id: string): Promise<User | undefined> {
    const [row] = await this.database.read<UserRow>('system', Prisma.sql`SELECT ${COLUMNS} FROM users WHERE id = ${id}::uuid`);
    return row ? userOf(row) : undefined;
  }

  async findIn(institutionId: string, id: string): Promise<User | undefined> {
    const [row] = await this.database.read<UserRow>({ institutionId }, Prisma.sql`SELECT ${COLUMNS} FROM users WHERE id = ${id}::uuid AND institution_id = ${institutionId}::uuid`);
    return row ? userOf(row) : undefined;
  }

  /** The page's rows and one more, oldest first. */
  async list(institutionId: string, { limit, cursor }: PageQuery): Promise<User[]> {
    const rows = await this.database.read<UserRow>({ institutionId }, Prisma.sql`
      SELECT ${COLUMNS} FROM users WHERE institution_id = ${institutionId}::uuid ${cursor === undefined ? Prisma.empty : Prisma.sql`AND id > ${cursor}::uuid`} ORDER BY id LIMIT ${limit + 1}::int`);
    return rows.map(userOf);
  }

  /** @returns undefined when the address is taken, here or in another institution */
  async create(tx: Transaction, user: NewUser): Promise<User | undefined> {
    try {
      return userOf(await prismaOf(tx).user.create({ data: { ...user, id: uuidv7(), email: user.email.toLowerCase(), state: user.passwordHash === null ? 'invited' : 'active' } }));
    } catch (error) {
      if (isUniqueViolation(error)) return undefined;
      throw error;
    }
  }

  /** Reads the row and holds it until the transaction ends: whoever gives tokens to a user or takes them away does this first. */
  async lock(tx: Transaction, id: string): Promise<User | undefined> {
    const client = prismaOf(tx);
    await client.$queryRaw`SELECT id FROM users WHERE id = ${id}::uuid FOR UPDATE`;
    const row = await client.user.findUnique({ where: { id } });
    return row ? userOf(row) : undefined;
  }

  async change(tx: Transaction, id: string, change: UserChange): Promise<User> {
    return userOf(await prismaOf(tx).user.update({ where: { id }, data: change }));
  }

  async anyExists(tx?: Transaction): Promise<boolean> {
    const any = Prisma.sql`SELECT id FROM users LIMIT 1`;
    return (await (tx ? prismaOf(tx).$queryRaw<unknown[]>(any) : this.database.read('system', any))).length > 0;
  }

  /** The user who came first with this role. */
  async firstWithRole(role: Role): Promise<User | undefined> {
    const [row] = await this.database.read<UserRow>('system', Prisma.sql`SELECT ${COLUMNS} FROM users WHERE role = ${role} ORDER BY id LIMIT 1`);
    return row ? userOf(row) : undefined;
  }
}

interface UserRow extends Omit<User, 'state' | 'secondFactor'> {
  state: string;
  totpConfirmedAt: Date | null;
}

function userOf({ id, institutionId, email, displayName, role, state, createdAt, updatedAt, lastSignInAt, totpConfirmedAt }: UserRow): User {
  return { id, institutionId, email, displayName, role, state: stateOf(state), createdAt, updatedAt, lastSignInAt, secondFactor: totpConfirmedAt !== null };
}

/** What this version does not know lets nobody in. */
function stateOf(text: string): UserState {
  return text === 'active' || text === 'invited' ? text : 'disabled';
}
