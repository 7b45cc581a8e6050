import { Injectable } from '@nestjs/common';
import { Prisma } from '../../../generated/prisma/client.js';
import { Database } from '../../../platform/database/database.js';

@Injectable()
export class ReportStore {
  constructor(private readonly database: Database) {}

  /** The name of an institution; empty when it is gone. */
  async institutionName(institutionId: string): Promise<string> {
    const [row] = await this.database.read<{ name: string }>({ institutionId }, Prisma.sql`SELECT name FROM institutions WHERE id = ${institutionId}::uuid`);
    return row?.name ?? '';
  }
}
