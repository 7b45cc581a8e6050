import { Injectable } from '@nestjs/common';
import { Prisma } from '../../../generated/prisma/client.js';
import type { Transaction } from '../../../kernel/transaction.js';
import { Database, prismaOf } from '../../../platform/database/database.js';
import { defaultPreferences, preferencesSchema, type Preferences } from './preferences.js';

export interface StoredPreferences {
  preferences: Preferences;
  /** 0 for those of the role. */
  version: number;
  updatedAt: Date | null;
}

interface Row {
  userId: string;
  settings: unknown;
  version: number;
  updatedAt: Date;
}

export interface Owner {
  id: string;
  role: string;
}

const COLUMNS = Prisma.raw('user_id AS "userId", settings, version, updated_at AS "updatedAt"');

@Injectable()
export class PreferencesStore {
  constructor(private readonly database: Database) {}

  async find(institutionId: string, owner: Owner): Promise<StoredPreferences> {
    const [row] = await this.database.read<Row>({ institutionId }, Prisma.sql`SELECT ${COLUMNS} FROM notification_preferences WHERE user_id = ${owner.id}::uuid AND institution_id = ${institutionId}::uuid`);
    return stored(row, owner.role);
  }

  /** Of several people, by their ids. */
  async of(institutionId: string, owners: readonly Owner[]): Promise<Map<string, Preferences>> {
    if (owners.length === 0) return new Map();
    const rows = await this.database.read<Row>({ institutionId }, Prisma.sql`SELECT ${COLUMNS} FROM notification_preferences WHERE institution_id = ${institutionId}::uuid AND user_id = ANY (${owners.map(({ id }) => id)}::uuid[])`);
    const byUser = new Map(rows.map((row) => [row.userId, row]));
    return new Map(owners.map(({ id, role }) => [id, stored(byUser.get(id), role).preferences]));
  }

  /** Who has chosen to be told of a topic. */
  async subscribers(institutionId: string, topic: string): Promise<string[]> {
    const rows = await this.database.read<{ userId: string }>({ institutionId }, Prisma.sql`
      SELECT user_id AS "userId" FROM notification_preferences WHERE institution_id = ${institutionId}::uuid AND coalesce(settings->'email'->>${topic}, 'off') <> 'off'`);
    return rows.map(({ userId }) => userId);
  }

  /** As `find`; changes of one person wait for each other. */
  async lock(tx: Transaction, institutionId: string, owner: Owner): Promise<StoredPreferences> {
    const client = prismaOf(tx);
    await client.$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended(${`notification-preferences ${owner.id}`}, 0))`;
    return stored((await client.notificationPreferences.findUnique({ where: { userId: owner.id, institutionId } })) ?? undefined, owner.role);
  }

  async save(tx: Transaction, institutionId: string, owner: Owner, settings: Preferences): Promise<StoredPreferences> {
    const row = await prismaOf(tx).notificationPreferences.upsert({
      where: { userId: owner.id }, create: { userId: owner.id, institutionId, settings }, update: { settings, version: { increment: 1 } },
    });
    return stored(row, owner.role);
  }
}

/** Topics come and go with versions: of what this one does not know nothing is left, and what is unreadable gives way to what the role has. */
function stored(row: Row | undefined, role: string): StoredPreferences {
  const read = row && preferencesSchema.safeParse(known(row.settings));
  return row && read?.success ? { preferences: read.data, version: row.version, updatedAt: row.updatedAt } : { preferences: defaultPreferences(role), version: row?.version ?? 0, updatedAt: row?.updatedAt ?? null };
}

function known(settings: unknown): unknown {
  // The store is the only writer of the column, perhaps that of another version.
  const { email, ...rest } = settings as { email?: Record<string, unknown> };
  return { ...rest, email: Object.fromEntries(Object.entries(email ?? {}).filter(([topic]) => topic in preferencesSchema.shape.email.shape)) };
}
