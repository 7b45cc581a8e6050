import { Injectable } from '@nestjs/common';
import { Prisma } from '../../generated/prisma/client.js';
import { Database } from '../../platform/database/database.js';
import { Administrators, type Administrator } from './users.contract.js';

const MOST = 50;

@Injectable()
export class AdministratorsStore extends Administrators {
  constructor(private readonly database: Database) {
    super();
  }

  async of(institutionId: string): Promise<Administrator[]> {
    return this.database.read<Administrator & Record<string, unknown>>({ institutionId }, Prisma.sql`
      SELECT u.id, u.display_name AS "displayName", u.email FROM users u JOIN institutions i ON i.id = u.institution_id
      WHERE u.institution_id = ${institutionId}::uuid AND u.role IN ('admin', 'platform-admin') AND u.state = 'active' AND i.state = 'active' ORDER BY u.id LIMIT ${MOST}::int`);
  }
}
