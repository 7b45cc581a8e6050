import type { Logger } from '../ops/logger.js';
import { WINDOW_MS, type WindowStore } from './window-store.js';

/** How long the shared store may take before the answer is given without it. */
const STORE_PATIENCE_MS = 1_000;
/** A store that failed is left alone for so long. */
const STORE_REST_MS = 5_000;
const FIRST_STOCK = 4;
const MOST_STOCK = 10_000;
/** Callers that are remembered; beyond, the one that came first is forgotten, and with it what it was leased. */
const MOST_CALLERS = 100_000;

/** What a limit says to one request. */
export interface Verdict {
  admitted: boolean;
  limit: number;
  /** As far as this process knows: others may have taken of it since. */
  remaining: number;
  /** Whole seconds, at least 1. */
  resetSeconds: number;
  /** Takes the request out of the count again. */
  giveBack(): void;
}

interface Caller {
  /** Leased and not used yet. */
  stock: number;
  /** For all processes, when we last asked. */
  remaining: number;
  /** By the monotonic clock. */
  endsAt: number;
  exhausted: boolean;
  /** Got its local window, because the store was away. */
  onItsOwn: boolean;
  wanted: number;
  waiting: number;
  leasing: Promise<void> | undefined;
}

export interface LimiterReports {
  /** The store went away (true) or came back. */
  away(isAway: boolean): void;
}

/**
 * Counts requests per caller over all processes. Each process leases a little from the shared store and admits from it; so
 * never more than the limit is admitted, and the store is asked once for many requests. While the store is away each process
 * counts on its own: clinical work goes on, and a caller gets at most its limit from each.
 */
export class RateLimiter {
  private readonly callers = new Map<string, Caller>();
  private restUntil = 0;
  private isAway = false;

  constructor(
    private readonly store: WindowStore,
    private readonly logger: Logger,
    private readonly reports: LimiterReports = { away: () => undefined },
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** @param limit  requests a minute, at least 1 */
  async take(key: string, limit: number): Promise<Verdict> {
    const caller = this.callerOf(key);
    for (;;) {
      if (this.now() >= caller.endsAt) Object.assign(caller, { stock: 0, remaining: 0, exhausted: false, onItsOwn: false, wanted: FIRST_STOCK });
      if (caller.stock > 0) {
        caller.stock -= 1;
        return this.verdict(caller, limit, true);
      }
      if (caller.exhausted) return this.verdict(caller, limit, false);
      caller.waiting += 1;
      caller.leasing ??= this.lease(key, limit, caller).finally(() => { caller.leasing = undefined; });
      await caller.leasing;
      caller.waiting -= 1;
    }
  }

  /** Removes what has ended, here and in the store. */
  async prune(): Promise<void> {
    const now = this.now();
    for (const [key, caller] of this.callers) if (caller.endsAt <= now && caller.leasing === undefined) this.callers.delete(key);
    if (now >= this.restUntil) await this.store.prune().catch(() => undefined);
  }

  private callerOf(key: string): Caller {
    const known = this.callers.get(key);
    if (known) return known;
    const caller: Caller = { stock: 0, remaining: 0, endsAt: 0, exhausted: false, onItsOwn: false, wanted: FIRST_STOCK, waiting: 0, leasing: undefined };
    this.callers.set(key, caller);
    const [oldest] = this.callers.keys();
    if (this.callers.size > MOST_CALLERS && oldest !== undefined) this.callers.delete(oldest);
    return caller;
  }

  private async lease(key: string, limit: number, caller: Caller): Promise<void> {
    if (this.now() < this.restUntil) {
      this.admitAlone(caller, limit);
      return;
    }
    const asked = this.now();
    try {
      const { leased, remaining, resetMs } = await withinPatience(this.store.lease(key, { limit, needed: caller.waiting, wanted: caller.wanted }));
      // By the moment of asking, so that our window never outlasts the shared one.
      Object.assign(caller, { stock: caller.stock + leased, remaining, endsAt: asked + Math.max(1, resetMs), exhausted: leased === 0, wanted: Math.min(caller.wanted * 2, MOST_STOCK) });
      this.report(false);
    } catch (err) {
      this.restUntil = this.now() + STORE_REST_MS;
      this.report(true, err);
      this.admitAlone(caller, limit);
    }
  }

  /** A window of this process alone, once until it ends. */
  private admitAlone(caller: Caller, limit: number): void {
    if (caller.endsAt <= this.now()) caller.endsAt = this.now() + WINDOW_MS;
    if (caller.onItsOwn) caller.exhausted = true;
    else Object.assign(caller, { stock: caller.stock + limit, remaining: 0, onItsOwn: true });
  }

  private report(isAway: boolean, err?: unknown): void {
    if (isAway === this.isAway) return;
    this.isAway = isAway;
    this.reports.away(isAway);
    if (isAway) this.logger.warn({ err }, 'the shared store of the rate limits is away: every process counts on its own');
    else this.logger.info('the shared store of the rate limits is back');
  }

  private verdict(caller: Caller, limit: number, admitted: boolean): Verdict {
    const { endsAt } = caller;
    const giveBack = (): void => {
      // Of another window there is nothing to give back. The end that we know of one moves by the duration of our questions.
      if (!admitted || Math.abs(caller.endsAt - endsAt) > STORE_PATIENCE_MS) return;
      caller.stock += 1;
      caller.exhausted = false;
    };
    return { admitted, limit, remaining: Math.min(limit, caller.stock + caller.remaining), resetSeconds: Math.max(1, Math.ceil((endsAt - this.now()) / 1000)), giveBack };
  }
}

async function withinPatience<T>(answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => { timer = setTimeout(() => { reject(new Error('the store did not answer in time')); }, STORE_PATIENCE_MS); });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}
