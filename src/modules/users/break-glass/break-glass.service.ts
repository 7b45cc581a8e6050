import { Injectable } from '@nestjs/common';
import { Counter, Gauge } from 'prom-client';
import { AppError } from '../../../kernel/errors.js';
import { ExpiringCache } from '../../../kernel/expiring-cache.js';
import { uuidv7 } from '../../../kernel/uid.js';
import { Database } from '../../../platform/database/database.js';
import type { Principal } from '../../../platform/http/access.js';
import { Metrics } from '../../../platform/ops/metrics.js';
import { soon } from '../../../platform/ops/soon.js';
import { Outbox } from '../../../platform/queue/outbox.js';
import { ACCESS_BREAK_GLASS, EMERGENCY_PERMISSIONS, type BreakGlassTaken } from '../users.contract.js';
import { BreakGlassStore, type BreakGlassGrant, type GrantReach } from './break-glass.store.js';

/** A grant that was taken or ended elsewhere counts here after at most this; in the same process at once. */
const LIFETIME_MS = 3_000;
const CAPACITY = 10_000;

/** Access in an emergency: at once, for a while, with a reason, and told to those who watch. */
@Injectable()
export class BreakGlassService {
  private readonly active = new ExpiringCache<BreakGlassGrant[]>(LIFETIME_MS, CAPACITY);
  private readonly taken: Counter;

  constructor(
    private readonly store: BreakGlassStore,
    private readonly database: Database,
    private readonly outbox: Outbox,
    metrics: Metrics,
  ) {
    this.taken = new Counter({ name: 'healthvision_break_glass_total', help: 'Emergency accesses that people have taken', registers: [metrics.registry] });
    metrics.caches.watch('break-glass', this.active.tally);
    this.showGauges(metrics);
  }

  /**
   * What a grant adds to the permissions that somebody has anyway.
   *
   * @returns undefined when nothing
   */
  async beyond(institutionId: string, userId: string, own: ReadonlySet<string>): Promise<Principal['breakGlass']> {
    const grants = (await this.active.get(userId, () => this.store.activeOf(institutionId, userId))) ?? [];
    const [grant, ...others] = grants.filter(({ institutionId: where, expiresAt }) => where === institutionId && expiresAt.getTime() > Date.now());
    if (!grant) return undefined;
    const permissions = new Set([grant, ...others].flatMap((one) => one.permissions).filter((permission) => !own.has(permission)));
    return permissions.size === 0 ? undefined : { id: grant.id, reason: grant.reason, permissions };
  }

  /** @throws AppError `forbidden` for keys, systems and visitors; `conflict` for those who may see everything anyway */
  async take(principal: Principal, reason: string, minutes: number): Promise<BreakGlassGrant> {
    const { institutionId, userId, permissions, breakGlass } = principal;
    if (principal.kind !== 'user') throw new AppError('forbidden', { detail: 'Emergency access is for people.' });
    if (principal.crossing) throw new AppError('forbidden', { detail: 'Emergency access is for people of the institution.' });
    if (EMERGENCY_PERMISSIONS.every((permission) => permissions.has(permission) && breakGlass?.permissions.has(permission) !== true)) {
      throw new AppError('conflict', { detail: 'The caller may see all of this without emergency access.' });
    }
    const grant = await this.database.transaction({ institutionId }, async (tx) => {
      const made = await this.store.create(tx, { id: uuidv7(), institutionId, userId, reason, permissions: [...EMERGENCY_PERMISSIONS], minutes });
      await this.outbox.append(tx, { institutionId, topic: ACCESS_BREAK_GLASS, payload: { institutionId, breakGlassId: made.id, userId } satisfies BreakGlassTaken, priority: 1 });
      return made;
    });
    this.taken.inc();
    this.active.forget(userId);
    return grant;
  }

  /** @throws AppError `break-glass-not-found` */
  async end(reach: GrantReach, id: string): Promise<void> {
    const userId = await this.database.transaction(reach, async (tx) => {
      const grant = await this.store.lock(tx, reach, id);
      if (!grant) throw new AppError('break-glass-not-found');
      await this.store.end(tx, id);
      return grant.userId;
    });
    this.active.forget(userId);
  }

  /** The first review stays. @throws AppError `break-glass-not-found`; `forbidden` for one's own */
  async review({ institutionId, userId }: Principal, id: string): Promise<BreakGlassGrant> {
    return this.database.transaction({ institutionId }, async (tx) => {
      const grant = await this.store.lock(tx, { institutionId }, id);
      if (!grant) throw new AppError('break-glass-not-found');
      if (grant.userId === userId) throw new AppError('forbidden', { detail: 'Nobody reviews their own emergency access.' });
      return grant.reviewedAt === null ? this.store.review(tx, id, userId) : grant;
    });
  }

  /** Asked for at every scrape; a database that is away leaves them as they were. */
  private showGauges(metrics: Metrics): void {
    const { store } = this;
    const unreviewed = new Gauge({ name: 'healthvision_break_glass_unreviewed', help: 'Emergency accesses that nobody has reviewed', registers: [metrics.registry] });
    new Gauge({
      name: 'healthvision_break_glass_active', help: 'Emergency accesses in force now', registers: [metrics.registry],
      async collect() {
        const counts = await soon(store.counts());
        if (!counts) return;
        this.set(counts.active);
        unreviewed.set(counts.unreviewed);
      },
    });
  }
}
