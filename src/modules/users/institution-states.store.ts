import { Injectable } from '@nestjs/common';
import { Prisma } from '../../generated/prisma/client.js';
import { AppError } from '../../kernel/errors.js';
import { ExpiringCache } from '../../kernel/expiring-cache.js';
import { Database } from '../../platform/database/database.js';
import { Metrics } from '../../platform/ops/metrics.js';

/** An institution suspended elsewhere is cut off here after at most this; in the same process at once. */
const LIFETIME_MS = 15_000;
const CAPACITY = 10_000;

/** Whether an institution is there and open: asked with every request, and remembered for a moment. */
@Injectable()
export class InstitutionStatesStore {
  private readonly known = new ExpiringCache<string>(LIFETIME_MS, CAPACITY);

  constructor(private readonly database: Database, { caches }: Metrics) {
    caches.watch('institution', this.known.tally);
  }

  /** @returns `active`, `suspended`; undefined when there is no such institution */
  async of(institutionId: string): Promise<string | undefined> {
    return this.known.get(institutionId, async (id) => {
      const [row] = await this.database.read<{ state: string }>('system', Prisma.sql`SELECT state FROM institutions WHERE id = ${id}::uuid`);
      return row?.state;
    });
  }

  /** @throws AppError `institution-suspended` */
  async requireActive(institutionId: string): Promise<void> {
    if ((await this.of(institutionId)) !== 'active') throw new AppError('institution-suspended');
  }

  /** After a change to an institution. */
  forget(institutionId: string): void {
    this.known.forget(institutionId);
  }
}
