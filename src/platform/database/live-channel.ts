import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { Observable } from 'rxjs';
import { Prisma } from '../../generated/prisma/client.js';
import { Rounds } from '../../kernel/rounds.js';
import { CONFIG, type Config } from '../config.js';
import { LOGGER, type Logger } from '../ops/logger.js';
import { DATABASE_URLS, poolOptions, type DatabaseUrls } from './connection.js';
import { Database } from './database.js';

/** A wake-up for whoever watches `topic`; `key` says which object changed. Never more than ids: it is a hint. */
export interface LiveSignal {
  topic: string;
  key: string;
}

export const LIVE_CHANNEL = 'healthvision_live';
/** Signals that hang keep back the next ones for so long. */
const PATIENCE_MS = 1_000;

/** An expression that tells what `publish` tells, once its statement is committed; `key` is one, too. */
export function notification(topic: string, key: Prisma.Sql): Prisma.Sql {
  return Prisma.sql`pg_notify(${LIVE_CHANNEL}, ${`${topic} `} || ${key})`;
}

/**
 * Tells every process of the installation that something changed, by LISTEN/NOTIFY: PostgreSQL is there whatever carries
 * the jobs. A signal may be lost while a connection is rebuilt, so listeners re-read the database on a slow timer too.
 */
@Injectable()
export class LiveChannel implements OnApplicationShutdown {
  private readonly listeners = new Set<(signal: LiveSignal) => void>();
  private connection: pg.Client | undefined;
  private connecting = false;
  private closed = false;
  private readonly signals = new Rounds<string, void>(async (payloads) => {
    await Promise.race([this.database.notify(LIVE_CHANNEL, payloads), sleep(PATIENCE_MS, undefined, { ref: false })]);
    return [];
  }, { atOnce: 1, items: Infinity });

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    @Inject(DATABASE_URLS) private readonly urls: DatabaseUrls,
    @Inject(LOGGER) private readonly logger: Logger,
    private readonly database: Database,
  ) {}

  /** What comes while signals are on their way goes with the next ones. @throws AppError `database-unavailable` */
  async publish(signal: LiveSignal): Promise<void> {
    await this.signals.take([`${signal.topic} ${signal.key}`]);
  }

  /** Signals of one topic from every process, this one included. */
  watch(topic: string): Observable<string> {
    return new Observable((subscriber) => {
      const listener = (signal: LiveSignal): void => { if (signal.topic === topic) subscriber.next(signal.key); };
      this.listeners.add(listener);
      void this.connect();
      return () => { this.listeners.delete(listener); };
    });
  }

  async onApplicationShutdown(): Promise<void> {
    this.closed = true;
    await this.connection?.end().catch(() => undefined);
  }

  private async connect(): Promise<void> {
    if (this.connection || this.connecting || this.closed) return;
    this.connecting = true;
    const client = new pg.Client(poolOptions(this.urls.appUrl, this.config));
    client.on('notification', ({ payload }) => { this.dispatch(payload ?? ''); });
    client.on('error', () => { this.reconnectSoon(client); });
    client.on('end', () => { this.reconnectSoon(client); });
    try {
      await client.connect();
      await client.query(`LISTEN ${LIVE_CHANNEL}`);
      this.connection = client;
    } catch (err) {
      this.logger.debug({ err }, 'live channel not connected');
      setTimeout(() => { void this.connect(); }, 1_000).unref();
    } finally {
      this.connecting = false;
    }
  }

  private reconnectSoon(client: pg.Client): void {
    if (this.connection !== client || this.closed) return;
    this.connection = undefined;
    setTimeout(() => { void this.connect(); }, 500).unref();
  }

  private dispatch(payload: string): void {
    const space = payload.indexOf(' ');
    const signal = { topic: payload.slice(0, space), key: payload.slice(space + 1) };
    for (const listener of this.listeners) listener(signal);
  }
}
