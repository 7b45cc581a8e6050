import { Inject, Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { LOGGER, type Logger } from '../ops/logger.js';
import { CLOCKS_DIFFER_MS } from './clock-difference.js';
import { JobHandler, type JobContext } from './job.js';
import { Outbox, type Unacknowledged } from './outbox.js';
import { QueueAccess } from './queue-access.js';
import { Repairs } from './repairs.service.js';

const BATCH = 500;
/** Questions to one queue at a time. */
const ASKED_AT_ONCE = 25;

type Found = 'there' | 'done' | 'gone';

/**
 * Finds events whose jobs the queue has lost, and has them handed over again: the rows are the truth. A job that is there waits, runs or is
 * parked, and is left alone.
 */
@Injectable()
export class ReconcileJob extends JobHandler {
  /** So long a queue may take for an event before somebody makes sure that it still has the job. Less in tests. */
  static afterSeconds = 10;

  constructor(
    private readonly database: Database,
    private readonly outbox: Outbox,
    private readonly access: QueueAccess,
    private readonly repairs: Repairs,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    super();
  }

  async handle(_payload: Record<string, never>, { signal }: JobContext): Promise<void> {
    while (!signal.aborted) {
      const events = await this.outbox.unacknowledged(ReconcileJob.afterSeconds, BATCH);
      const lost = await this.lost(events);
      if (lost.length > 0) {
        const again = await this.outbox.dispatchAgain(lost);
        this.repairs.count('job', again);
        this.logger.warn({ events: again }, 'the queue had lost jobs, which are handed over again');
      }
      // A queue that was emptied has lost more; one that is merely long is looked at bit by bit.
      if (events.length < BATCH || lost.length === 0) return;
    }
  }

  /** Ids of events that some queue has neither done nor got. */
  private async lost(events: readonly Unacknowledged[]): Promise<string[]> {
    const lost = new Set<string>();
    for (const name of this.access.names) {
      // A queue that only a newer version has is that version's affair.
      const ids = events.filter(({ pending }) => pending.includes(name)).map(({ id }) => id);
      const found = await this.find(name, ids);
      const done = ids.filter((id) => found.get(id) === 'done');
      if (done.length > 0) await this.outbox.acknowledge(name, done);
      this.repairs.count('acknowledgement', done.length);
      for (const id of ids) if (found.get(id) === 'gone') lost.add(id);
    }
    return [...lost];
  }

  /** Jobs that wait for a try that a process has put off whose clock was ahead: when they were tried last is told by the same clock. */
  private async bringForward(name: string, ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    const nowMs = await this.database.nowMs();
    const moved = await this.access.ask(name, (queue) => Promise.all(ids.map(async (id) => {
      const job = await queue.getJob(id);
      if (!job || (job.processedOn ?? 0) <= nowMs + CLOCKS_DIFFER_MS) return 0;
      // Somebody may have taken it meanwhile.
      return job.promote().then(() => 1, () => 0);
    })));
    this.repairs.count('job', moved.reduce<number>((sum, one) => sum + one, 0));
  }

  private async find(name: string, ids: readonly string[]): Promise<ReadonlyMap<string, Found>> {
    const found = new Map<string, Found>();
    for (let at = 0; at < ids.length; at += ASKED_AT_ONCE) {
      const asked = ids.slice(at, at + ASKED_AT_ONCE);
      const states = await this.access.ask(name, (queue) => Promise.all(asked.map((id) => queue.getJobState(id))));
      asked.forEach((id, index) => { found.set(id, foundOf(states[index])); });
      await this.bringForward(name, asked.filter((_, index) => states[index] === 'delayed'));
    }
    return found;
  }
}

function foundOf(state: string | undefined): Found {
  return state === 'completed' ? 'done' : state === 'unknown' || state === undefined ? 'gone' : 'there';
}
