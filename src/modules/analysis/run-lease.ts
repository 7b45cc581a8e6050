import { filter, type Subscription } from 'rxjs';
import type { LiveChannel } from '../../platform/database/live-channel.js';
import type { Logger } from '../../platform/ops/logger.js';
import { spanSequence } from '../../platform/ops/tracing.js';
import type { Claim, ClaimsStore } from './claims.store.js';
import { RUN_CANCELLED } from './run-events.js';
import type { RunProgress } from './run-progress.service.js';

const HEARTBEAT_MS = 3_000;

/** Why a run stops before its end. */
export class RunStopped extends Error {
  override readonly name = 'RunStopped';

  constructor(readonly why: 'cancelled' | 'claim-lost' | 'shutdown') {
    super(why);
  }
}

export interface LeaseTools {
  claims: ClaimsStore;
  progress: RunProgress;
  live: LiveChannel;
  logger: Logger;
}

/**
 * A worker's hold on one run: tells the database that the worker lives, hears of cancellation and of the loss of the claim, and
 * tells its progress. `signal` aborts with a `RunStopped`.
 */
export class RunLease {
  private readonly abort = new AbortController();
  private readonly timer: NodeJS.Timeout;
  private readonly subscription: Subscription;
  /** Of the stages, under the run's. */
  private readonly spans = spanSequence();
  private readonly onShutdown = (): void => { this.stop('shutdown'); };
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

  /** Never waits and never throws. */
  progress(stage: string, progress: number): void {
    if (this.closed) return;
    this.spans.next(stage);
    this.tools.progress.report(this.claim, stage, progress);
  }

  /** The stage is over, and the next may have to wait for a thread. */
  between(): void {
    this.spans.pause();
  }

  close(): void {
    this.closed = true;
    this.spans.pause();
    clearInterval(this.timer);
    this.subscription.unsubscribe();
    this.shutdown.removeEventListener('abort', this.onShutdown);
    this.tools.progress.forget(this.claim);
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
