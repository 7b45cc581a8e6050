import { Inject, Injectable, type BeforeApplicationShutdown, type MessageEvent } from '@nestjs/common';
import { auditTime, concatMap, filter, from, interval, map, merge, of, ReplaySubject, takeUntil, timer, type Observable } from 'rxjs';
import { LiveChannel } from '../../platform/database/live-channel.js';
import { LOGGER, type Logger } from '../../platform/ops/logger.js';
import { NotificationTail } from './notification-tail.js';
import { NotificationsStore, type NotificationRecord } from './notifications.store.js';
import { NOTIFICATIONS_LIVE } from './topics.js';

const HEARTBEAT_MS = 15_000;
/** Signals that come together need one look. */
const GATHER_MS = 50;
/** A stream ends after this: whoever may still watch comes back by itself, and whose access was taken away does not. */
const LIFETIME_MS = 15 * 60_000;

/** Notifications as they come in, one stream for each client. */
@Injectable()
export class EventFeed implements BeforeApplicationShutdown {
  /** A signal of the live channel can be lost, so the table is asked this often whatever happens. For tests, which have less time. */
  catchUpMs = 10_000;
  /** Also for those who come after it. */
  private readonly stopped = new ReplaySubject<void>(1);

  constructor(
    private readonly store: NotificationsStore,
    private readonly live: LiveChannel,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /**
   * @param lastEventId  what the client saw last; the stream begins after it
   * @param hidden  topics that the client is not told of
   */
  watch(institutionId: string, lastEventId: string | undefined, hidden: readonly string[] = []): Observable<MessageEvent> {
    const tail = new NotificationTail(this.store, institutionId, lastEventId);
    const signals = this.live.watch(NOTIFICATIONS_LIVE).pipe(filter((key) => key.startsWith(`${institutionId}/`)));
    const events = merge(of(undefined), merge(signals, interval(this.catchUpMs)).pipe(auditTime(GATHER_MS))).pipe(
      concatMap(() => this.look(tail)),
      filter((records) => records !== undefined),
      // What comes behind the first look that succeeds tells the client that from here on it misses nothing.
      concatMap((records, look) => from([...records.filter(({ topic }) => !hidden.includes(topic)).map(eventOf), ...(look === 0 ? [following(tail)] : [])])),
    );
    const heartbeat = interval(HEARTBEAT_MS).pipe(map((): MessageEvent => ({ comment: 'alive' })));
    return merge(events, heartbeat).pipe(takeUntil(merge(this.stopped, timer(LIFETIME_MS))));
  }

  /** Streams would keep the server from closing. */
  beforeApplicationShutdown(): void {
    this.stopped.next();
  }

  /** A database that is away for a moment does not end the stream: the next look catches up. undefined: nothing is known. */
  private async look(tail: NotificationTail): Promise<NotificationRecord[] | undefined> {
    try {
      return await tail.look();
    } catch (err) {
      this.logger.debug({ err }, 'event feed could not read; trying again');
      return undefined;
    }
  }
}

/** An id without data is no event, but clients come back with it: whoever is cut off before the first event misses nothing either. */
function following({ beganAfter }: NotificationTail): MessageEvent {
  return { comment: 'following', ...(beganAfter !== undefined && { id: beganAfter }) };
}

function eventOf({ id, topic, subject }: NotificationRecord): MessageEvent {
  return { id, type: topic, data: subject };
}
