import { Injectable } from '@nestjs/common';
import { Prisma } from '../../generated/prisma/client.js';
import { INSTALLATION } from '../audit/audit-event.js';
import { Database } from '../database/database.js';

/** What the audit trail says of backups. */
@Injectable()
export class BackupAgeStore {
  constructor(private readonly database: Database) {}

  /**
   * When the newest backup ended well; undefined when none did since `since`.
   *
   * @param since  bounds what is looked through: ids of events begin with their time
   */
  async lastSuccess(since: Date): Promise<Date | undefined> {
    const rows = await this.database.read<{ at: Date }>('system', Prisma.sql`
      SELECT at FROM audit_events WHERE institution_id = ${INSTALLATION}::uuid AND id >= ${firstIdOf(since)}::uuid AND action = 'backup' AND outcome = 'succeeded' ORDER BY id DESC LIMIT 1`);
    return rows[0]?.at;
  }
}

/** The lowest UUID of version 7 of a time. @see RFC 9562 §5.7 */
function firstIdOf(time: Date): string {
  const hex = time.getTime().toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`;
}
