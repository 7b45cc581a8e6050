import { Inject, Injectable, type BeforeApplicationShutdown, type MessageEvent } from '@nestjs/common';
import { auditTime, concatMap, distinctUntilChanged, filter, finalize, interval, map, merge, of, ReplaySubject, Subject, takeUntil, takeWhile, type Observable } from 'rxjs';
import { LiveChannel } from '../../platform/database/live-channel.js';
import { LOGGER, type Logger } from '../../platform/ops/logger.js';
import { RUN_CHANGED } from './run-events.js';
import { analysisJson } from './runs-json.js';
import { FINAL_STATUSES, RunsStore, type RunRow } from './runs.store.js';

const HEARTBEAT_MS = 15_000;
/** A signal of the live channel can be lost, so the row is read this often whatever happens. */
const REREAD_MS = 2_000;
/** Signals that come together need one look. */
const GATHER_MS = 30;

/** The progress of one run as server-sent events, on whatever replica the client is. */
@Injectable()
export class RunFeed implements BeforeApplicationShutdown {
  /** Also for those who come after it. */
  private readonly stopped = new ReplaySubject<void>(1);

  constructor(
    private readonly runs: RunsStore,
    private readonly live: LiveChannel,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** The run now, again at every change, and last in its final state. */
  watch(institutionId: string, id: string): Observable<MessageEvent> {
    const over = new Subject<void>();
    const signals = this.live.watch(RUN_CHANGED).pipe(filter((key) => key === id));
    const events = merge(of(id), merge(signals, interval(REREAD_MS)).pipe(auditTime(GATHER_MS))).pipe(
      concatMap(() => this.read(institutionId, id)),
      filter((run) => run !== null),
      takeWhile(({ status }) => !FINAL_STATUSES.includes(status), true),
      map((run) => JSON.stringify(analysisJson(run))),
      distinctUntilChanged(),
      map((data): MessageEvent => ({ type: 'progress', data })),
      finalize(() => { over.next(); }),
    );
    const heartbeat = interval(HEARTBEAT_MS).pipe(map((): MessageEvent => ({ comment: 'alive' })), takeUntil(over));
    return merge(heartbeat, events).pipe(takeUntil(this.stopped));
  }

  /** Streams would keep the server from closing. */
  beforeApplicationShutdown(): void {
    this.stopped.next();
  }

  /** A database that is away for a moment does not end the stream: the next look catches up. */
  private async read(institutionId: string, id: string): Promise<RunRow | null> {
    try {
      return await this.runs.find(institutionId, id);
    } catch (err) {
      this.logger.debug({ err }, 'run feed could not read; trying again');
      return null;
    }
  }
}
