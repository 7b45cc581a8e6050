import type { NotificationRecord, NotificationsStore, Position } from './notifications.store.js';

/** Rows of an older version become visible a little out of the order of their times; every look goes back this far. */
const OVERLAP_MS = 5_000;
/** A client that was away for longer reads the list. */
const REPLAY_MS = 7 * 24 * 3_600_000;
const BATCH = 200;
/** Before all notifications. */
const BEGINNING = '00000000-0000-7000-8000-000000000000';

/**
 * Follows the notifications of one institution for one client: every look gives those that it has not given before, in the
 * order in which they came in. After `Last-Event-ID` it begins a little before that one, so a client may see some twice, by the
 * same id, but misses none.
 */
export class NotificationTail {
  private readonly given = new Map<string, number>();
  private reachedMs: number | undefined;
  private begun = false;
  /** Where it began without `Last-Event-ID`: a client that is cut off before its first event goes on after this one. */
  beganAfter: string | undefined;

  constructor(
    private readonly store: NotificationsStore,
    private readonly institutionId: string,
    private readonly lastEventId: string | undefined,
  ) {}

  /** What came in since the last look; the first one gives what came after `lastEventId`, or nothing. */
  async look(): Promise<NotificationRecord[]> {
    const silent = !this.begun && this.lastEventId === undefined;
    this.reachedMs ??= await this.startMs();
    const rows = await this.rowsSince(this.reachedMs - OVERLAP_MS);
    const fresh = rows.filter(({ id }) => !this.given.has(id));
    // Only now: a look that fails half-way has given nothing.
    for (const { id, createdAt } of fresh) this.given.set(id, createdAt.getTime());
    this.reachedMs = Math.max(this.reachedMs, rows.at(-1)?.createdAt.getTime() ?? 0);
    this.forgetOld(this.reachedMs - OVERLAP_MS);
    this.begun = true;
    return silent ? [] : fresh;
  }

  private async rowsSince(sinceMs: number): Promise<NotificationRecord[]> {
    const all: NotificationRecord[] = [];
    let position: Position | undefined;
    for (;;) {
      const rows = await this.store.after(this.institutionId, new Date(sinceMs), BATCH, position);
      all.push(...rows);
      position = rows.at(-1);
      if (rows.length < BATCH) return all;
    }
  }

  private async startMs(): Promise<number> {
    // The database's clock alone counts: ours may differ.
    const newest = await this.store.newest(this.institutionId);
    const newestMs = newest?.createdAt.getTime() ?? 0;
    if (this.lastEventId === undefined) {
      this.beganAfter = newest?.id ?? BEGINNING;
      return newestMs;
    }
    const last = await this.store.find(this.institutionId, this.lastEventId);
    if (last) this.given.set(last.id, last.createdAt.getTime());
    // One that is gone tells its time itself. RFC 9562 §5.7
    const lastMs = last?.createdAt.getTime() ?? Number.parseInt(this.lastEventId.replaceAll('-', '').slice(0, 12), 16);
    return Math.min(Math.max(lastMs, newestMs - REPLAY_MS), newestMs);
  }

  private forgetOld(beforeMs: number): void {
    for (const [id, createdMs] of this.given) if (createdMs < beforeMs) this.given.delete(id);
  }
}
