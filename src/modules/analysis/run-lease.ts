import { filter, type Subscription } from 'rxjs';
import type { LiveChannel } from '../../platform/database/live-channel.js';
import type { Logger } from '../../platform/ops/logger.js';
import type { Claim, ClaimsStore } from './claims.store.js';
import { RUN_CANCELLED, RUN_CHANGED } from './run-events.js';

const HEARTBEAT_MS = 3_000;
/** Progress is written no more often than this. */
const PROGRESS_MS = 100;

/** Why a run stops before its end. */
export class RunStopped extends Error {
  override readonly name = 'RunStopped';

  constructor(readonly why: 'cancelled' | 'claim-lost' | 'shutdown') {
    super(why);
  }
}

export interface LeaseTools {
  claims: ClaimsStore;
  live: LiveChannel;
  logger: Logger;
}

/**
 * A worker's hold on one run: tells the database that the worker lives, hears of cancellation and of the loss of the claim, and
 * writes progress. `signal` aborts with a `RunStopped`.
 */
export class RunLease {
  private readonly abort = new AbortController();
  private readonly timer: NodeJS.Timeout;
  private readonly subscription: Subscription;
  private readonly onShutdown = (): void => { this.stop('shutdown'); };
  private writing: Promise<void> = Promise.resolve();
  private latest: { stage: string; progress: number } | undefined;
  private writtenAt = 0;
  private closed = false;

  constructor(
    private readonly claim: Claim,
    private readonly tools: LeaseTools,
    private readonly shutdown: AbortSignal,
  ) {
    this.timer = setInterval(() => { void this.beat(); }, HEARTBEAT_MS);
    this.subscription = tools.live.watch(RUN_CANCELLED).pipe(filter((key) => key === claim.id)).subscribe(() => { void this.beat(); });
    shutdown.addEventListener('abort', this.onShutdown, { once: true });
    if (shutdown.aborted) this.onShutdown();
  }

  get signal(): AbortSignal {
    return this.abort.signal;
  }

  /** Never waits and never throws: progress is a courtesy. The latest state is written when the one before it is. */
  progress(stage: string, progress: number): void {
    const idle = this.latest === undefined;
    this.latest = { stage, progress };
    if (idle) this.writing = this.writing.then(() => this.write());
  }

  async close(): Promise<void> {
    this.closed = true;
    clearInterval(this.timer);
    this.subscription.unsubscribe();
    this.shutdown.removeEventListener('abort', this.onShutdown);
    await this.writing;
  }

  private async write(): Promise<void> {
    const wait = this.writtenAt + PROGRESS_MS - Date.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    const { latest } = this;
    this.latest = undefined;
    if (!latest || this.closed) return;
    this.writtenAt = Date.now();
    try {
      await this.tools.claims.progress(this.claim, latest.stage, latest.progress);
      await this.tools.live.publish({ topic: RUN_CHANGED, key: this.claim.id });
    } catch (err) {
      this.tools.logger.debug({ err }, 'progress not written');
    }
  }

  /** A heartbeat that fails is no reason to stop: whoever takes the run over is kept apart by the fence. */
  private async beat(): Promise<void> {
    try {
      const { held, cancel } = await this.tools.claims.heartbeat(this.claim);
      if (this.closed) return;
      if (!held) this.stop('claim-lost');
      else if (cancel) this.stop('cancelled');
    } catch (err) {
      this.tools.logger.debug({ err }, 'heartbeat not written');
    }
  }

  private stop(why: RunStopped['why']): void {
    if (!this.closed) this.abort.abort(new RunStopped(why));
  }
}
