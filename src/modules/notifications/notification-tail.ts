import type { NotificationRecord, NotificationsStore, Position } from './notifications.store.js';

/** Rows become visible a little out of the order of their times; every look goes back this far. */
const OVERLAP_MS = 5_000;
/** A client that was away for longer reads the list. */
const REPLAY_MS = 7 * 24 * 3_600_000;
const BATCH = 200;

/**
 * Follows the notifications of one institution for one client: every look gives those that it has not given before, in the
 * order in which they came in. After `Last-Event-ID` it begins a little before that one, so a client may see some twice, by the
 * same id, but misses none.
 */
export class NotificationTail {
  private readonly given = new Map<string, number>();
  private reachedMs: number | undefined;

  constructor(
    private readonly store: NotificationsStore,
    private readonly institutionId: string,
    private readonly lastEventId: string | undefined,
  ) {}

  /** What came in since the last look; the first one gives what came after `lastEventId`, or nothing. */
  async look(): Promise<NotificationRecord[]> {
    const silent = this.reachedMs === undefined && this.lastEventId === undefined;
    this.reachedMs ??= await this.startMs();
    const fresh: NotificationRecord[] = [];
    const since = new Date(this.reachedMs - OVERLAP_MS);
    let position: Position | undefined;
    for (;;) {
      const rows = await this.store.after(this.institutionId, since, BATCH, position);
      for (const row of rows) {
        if (!this.given.has(row.id)) fresh.push(row);
        this.given.set(row.id, row.createdAt.getTime());
        this.reachedMs = Math.max(this.reachedMs, row.createdAt.getTime());
      }
      position = rows.at(-1);
      if (rows.length < BATCH) break;
    }
    this.forgetOld(this.reachedMs - OVERLAP_MS);
    return silent ? [] : fresh;
  }

  private async startMs(): Promise<number> {
    // The database's clock alone counts: ours may differ.
    const newestMs = (await this.store.newest(this.institutionId))?.createdAt.getTime() ?? 0;
    if (this.lastEventId === undefined) return newestMs;
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
