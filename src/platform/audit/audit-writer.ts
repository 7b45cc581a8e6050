import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { AppError } from '../../kernel/errors.js';
import { CONFIG, type Config } from '../config.js';
import { MasterKey } from '../crypto/master-key.js';
import { isDatabaseAway } from '../database/database-errors.js';
import { LOGGER, type Logger } from '../ops/logger.js';
import { Metrics } from '../ops/metrics.js';
import { AuditBacklog } from './audit-backlog.js';
import { eventOf, macOf, MOST_NAMED, type AuditDraft, type AuditEvent } from './audit-event.js';
import { AuditEventsStore } from './audit-events.store.js';
import { AuditKeys } from './audit-keys.js';

/** Events of one transaction at most. */
const BATCH = 256;
/** Transactions at a time: while one waits for the disk the next is computed. Few, so that requests gather and the other connections stay free. */
const MOST_AT_ONCE = 2;
/** A database that says nothing for this long counts as away. */
const PATIENCE_MS = 5_000;
const DRAIN_MS = 1_000;

interface Waiting {
  event: AuditEvent;
  done: (event: AuditEvent) => void;
  failed: (error: unknown) => void;
}

/**
 * Puts events on record. Many requests share a transaction: while batches are being written the next gathers. What cannot be recorded must not happen: `write` throws, unless
 * AUDIT_FAILURE=queue lets events wait.
 */
@Injectable()
export class AuditWriter implements OnApplicationBootstrap, OnApplicationShutdown {
  private waiting: Waiting[] = [];
  private writing = 0;
  private readonly backlog: AuditBacklog | undefined;
  private draining: NodeJS.Timeout | undefined;

  constructor(
    private readonly store: AuditEventsStore,
    private readonly keys: AuditKeys,
    masterKey: MasterKey,
    @Inject(CONFIG) config: Config,
    @Inject(LOGGER) private readonly logger: Logger,
    private readonly metrics: Metrics,
  ) {
    this.backlog = config.AUDIT_FAILURE === 'queue' ? new AuditBacklog(config.dataDir, masterKey) : undefined;
  }

  async onApplicationBootstrap(): Promise<void> {
    const { events, unreadable } = (await this.backlog?.inherit()) ?? { events: 0, unreadable: 0 };
    if (unreadable > 0) this.logger.error({ files: unreadable }, 'audit events of an earlier process cannot be read: was MASTER_KEY changed? They stay in DATA_DIR/audit-queue');
    if (events === 0) return;
    this.logger.warn({ events }, 'audit events of an earlier process are written now');
    await this.drain().catch(() => { this.drainSoon(); });
  }

  onApplicationShutdown(): void {
    clearTimeout(this.draining);
    this.draining = undefined;
  }

  /**
   * Durable when it returns.
   *
   * @returns the event as it was written: with the patients of its studies
   * @throws AppError `audit-unavailable`; then the caller must not go on
   */
  write(draft: AuditDraft): Promise<AuditEvent> {
    const event = eventOf(draft);
    return new Promise((done, failed) => {
      this.waiting.push({ event, done, failed });
      if (this.writing < MOST_AT_ONCE && this.waiting.length === 1) void this.writeWaiting();
    });
  }

  private async writeWaiting(): Promise<void> {
    this.writing += 1;
    // Requests of one turn of the event loop share a batch.
    await Promise.resolve();
    while (this.waiting.length > 0) {
      const batch = this.waiting;
      this.waiting = batch.splice(BATCH);
      await this.writeBatch(batch);
    }
    this.writing -= 1;
  }

  private async writeBatch(batch: readonly Waiting[]): Promise<void> {
    const { backlog } = this;
    // Behind what waits already: in order.
    if (backlog && backlog.size > 0) return this.postpone(backlog, batch);
    try {
      const written = await withPatience(this.insert(batch.map(({ event }) => event)), backlog ? undefined : (late) => { void this.correct(late); });
      for (const [index, one] of batch.entries()) one.done(written[index] ?? one.event);
    } catch (error) {
      this.metrics.auditFailures.inc(batch.length);
      if (backlog) return this.postpone(backlog, batch, error);
      const isAway = isDatabaseAway(error) || (error instanceof AppError && error.code === 'database-unavailable');
      if (isAway || batch.length === 1) {
        this.logger.error({ err: error, events: batch.length }, 'audit events could not be written');
        const unavailable = new AppError('audit-unavailable', { cause: error, retryAfterSeconds: 2 });
        for (const { failed } of batch) failed(unavailable);
      } else {
        // What is wrong with one is not the others' trouble.
        for (const one of batch) await this.writeBatch([one]);
      }
    }
  }

  /** These came in after all, when their calls had been answered 503: what they say of the outcome is not what the caller saw. */
  private async correct(late: readonly AuditEvent[]): Promise<void> {
    const wrong = late.filter(({ outcome }) => outcome !== 'attempted');
    this.logger.warn({ events: wrong.length }, 'audit events were written too late; events that correct them follow');
    await Promise.all(wrong.map((event) => this.write({ ...event, outcome: 'failed', status: 503, code: 'audit-unavailable', details: { ...event.details, corrects: event.id } })))
      .catch((err: unknown) => { this.logger.error({ err }, 'audit events that were written too late could not be corrected'); });
  }

  /** With MACs, and the patients of the studies they name. */
  private async insert(events: readonly AuditEvent[]): Promise<AuditEvent[]> {
    const studies = events.flatMap(({ institutionId, studyInstanceUids }) => studyInstanceUids.map((studyInstanceUid) => ({ institutionId, studyInstanceUid })));
    const [key, patients] = await Promise.all([this.keys.macKey(), studies.length === 0 ? undefined : this.store.patientsOf(studies)]);
    const complete = patients === undefined ? events : events.map((event) => withPatients(event, patients));
    await this.store.insert(complete, complete.map((event) => macOf(event, key)));
    for (const { outcome } of complete) this.metrics.auditEvents.inc({ outcome });
    return [...complete];
  }

  private async postpone(backlog: AuditBacklog, batch: readonly Waiting[], cause?: unknown): Promise<void> {
    try {
      await backlog.add(batch.map(({ event }) => event));
      if (cause !== undefined) this.logger.error({ err: cause, events: batch.length }, 'audit events wait for the database');
      for (const { event, done } of batch) done(event);
      this.drainSoon();
    } catch (error) {
      for (const { failed } of batch) failed(error);
    }
    this.metrics.auditBacklog.set(backlog.size);
  }

  private drainSoon(): void {
    this.draining ??= setTimeout(() => {
      this.draining = undefined;
      this.drain().catch((err: unknown) => {
        this.logger.debug({ err }, 'audit events still wait');
        this.drainSoon();
      });
    }, DRAIN_MS).unref();
  }

  private async drain(): Promise<void> {
    const { backlog } = this;
    if (!backlog) return;
    while (await backlog.drain(BATCH, async (events) => { await withPatience(this.insert(events)); })) this.metrics.auditBacklog.set(backlog.size);
  }
}

function withPatients(event: AuditEvent, patients: ReadonlyMap<string, string>): AuditEvent {
  const found = event.studyInstanceUids.flatMap((uid) => patients.get(`${event.institutionId} ${uid}`) ?? []);
  return found.length === 0 ? event : { ...event, patientIds: [...new Set([...event.patientIds, ...found])].slice(0, MOST_NAMED) };
}

/** @param tooLate  told when the work succeeds after it was given up */
async function withPatience<T>(work: Promise<T>, tooLate: (result: T) => void = () => undefined): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  let isGivenUp = false;
  void work.then((result) => { if (isGivenUp) tooLate(result); }, () => undefined);
  const late = new Promise<never>((_, reject) => { timer = setTimeout(() => { isGivenUp = true; reject(new AppError('database-unavailable', { retryAfterSeconds: 2 })); }, PATIENCE_MS); });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
