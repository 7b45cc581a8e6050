import { Injectable } from '@nestjs/common';
import { Prisma } from '../../generated/prisma/client.js';
import { Database } from '../../platform/database/database.js';
import { permissionsOf } from './roles.js';
import { People, type Person } from './users.contract.js';

type PersonRow = Omit<Person, 'permissions'>;

/** For the modules that tell people of things. */
@Injectable()
export class StoredPeople extends People {
  constructor(private readonly database: Database) {
    super();
  }

  async withIds(institutionId: string, ids: readonly string[]): Promise<Person[]> {
    return ids.length === 0 ? [] : this.read(institutionId, Prisma.sql`u.id = ANY (${[...ids]}::uuid[])`);
  }

  async withRoles(institutionId: string, roles: readonly string[]): Promise<Person[]> {
    return roles.length === 0 ? [] : this.read(institutionId, Prisma.sql`u.role = ANY (${[...roles]}::text[])`);
  }

  private async read(institutionId: string, condition: Prisma.Sql): Promise<Person[]> {
    const rows = await this.database.read<PersonRow>({ institutionId }, Prisma.sql`
      SELECT u.id, u.email, u.display_name AS "displayName", u.role, u.state = 'active' AND i.state = 'active' AS "isActive"
      FROM users u JOIN institutions i ON i.id = u.institution_id WHERE u.institution_id = ${institutionId}::uuid AND ${condition} ORDER BY u.id`);
    return rows.map((row) => ({ ...row, permissions: new Set(permissionsOf(row.role)) }));
  }
}
