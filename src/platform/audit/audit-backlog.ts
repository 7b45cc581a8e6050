import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../kernel/errors.js';
import type { MasterKey } from '../crypto/master-key.js';
import type { AuditEvent } from './audit-event.js';

const CONTEXT = 'audit-queue';
/** Beyond this calls are refused, so that memory and disk last. */
const MOST_WAITING = 100_000;
const ABANDONED_SUFFIX = '.taken';

/**
 * Events that wait for the database, oldest first: in memory, and encrypted in a file of this process under DATA_DIR, from where the next process takes what one that
 * died has left. An event may be written twice then; its id tells.
 */
export class AuditBacklog {
  private waiting: AuditEvent[] = [];
  private readonly folder: string;
  private readonly file: string;
  /** Files of processes before this one, whose events are in memory now. */
  private inherited: string[] = [];
  private turn: Promise<unknown> = Promise.resolve();

  constructor(dataDir: string, private readonly masterKey: Pick<MasterKey, 'seal' | 'open'>) {
    this.folder = join(dataDir, CONTEXT);
    this.file = join(this.folder, `${randomUUID()}.log`);
  }

  get size(): number {
    return this.waiting.length;
  }

  /** Durable on disk afterwards. @throws AppError `audit-unavailable` when too many wait, or the disk fails too */
  add(events: readonly AuditEvent[]): Promise<void> {
    return this.inTurn(async () => {
      if (this.waiting.length + events.length > MOST_WAITING) throw new AppError('audit-unavailable', { detail: 'Too many audit events wait for the database.', retryAfterSeconds: 10 });
      try {
        await this.append(events);
      } catch (cause) {
        throw new AppError('audit-unavailable', { cause });
      }
      this.waiting.push(...events);
    });
  }

  /** Hands the oldest to `write`, and forgets them when that succeeds. @returns false when nothing waits */
  async drain(limit: number, write: (events: readonly AuditEvent[]) => Promise<void>): Promise<boolean> {
    const events = this.waiting.slice(0, limit);
    if (events.length === 0) return false;
    await write(events);
    await this.inTurn(async () => {
      this.waiting.splice(0, events.length);
      if (this.waiting.length > 0) return;
      for (const file of [...this.inherited, this.file]) await rm(file, { force: true });
      this.inherited = [];
    });
    return true;
  }

  /**
   * What processes that are gone have left. A process that lives has its own events in memory, and makes its file anew.
   *
   * @returns how many events, and how many files that cannot be read: they stay
   */
  inherit(): Promise<{ events: number; unreadable: number }> {
    return this.inTurn(async () => {
      const names = await readdir(this.folder).catch(() => []);
      const events: AuditEvent[] = [];
      let unreadable = 0;
      for (const name of names) {
        const path = join(this.folder, name);
        const taken = name.endsWith(ABANDONED_SUFFIX) ? path : `${path}${ABANDONED_SUFFIX}`;
        // Another process may have been first.
        if (taken !== path && !(await rename(path, taken).then(() => true, () => false))) continue;
        try {
          events.push(...(await this.read(taken)));
          this.inherited.push(taken);
        } catch {
          unreadable++;
        }
      }
      this.waiting.unshift(...events);
      return { events: events.length, unreadable };
    });
  }

  private async read(path: string): Promise<AuditEvent[]> {
    const lines = (await readFile(path, 'utf8')).split('\n');
    // The last line of a process that was killed may be cut; nobody was told that it was there.
    const whole = lines.slice(0, -1);
    return whole.flatMap((line) => {
      // What `append` sealed: events as JSON, whose times are texts.
      const events = JSON.parse(this.masterKey.open(Buffer.from(line, 'base64'), CONTEXT).toString()) as (Omit<AuditEvent, 'at'> & { at: string })[];
      return events.map((event) => ({ ...event, at: new Date(event.at) }));
    });
  }

  private async append(events: readonly AuditEvent[]): Promise<void> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    const handle = await open(this.file, 'a', 0o600);
    try {
      await handle.appendFile(`${this.masterKey.seal(Buffer.from(JSON.stringify(events)), CONTEXT).toString('base64')}\n`);
      await handle.datasync();
    } finally {
      await handle.close();
    }
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.turn.then(work, work);
    this.turn = done.catch(() => undefined);
    return done;
  }
}
