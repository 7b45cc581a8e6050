/** How long a window is. It starts with the first request that it counts. */
export const WINDOW_MS = 60_000;

/** Of what remains, a process takes at most one in so many for itself at a time. */
export const LEASE_SHARE = 50;

export interface Lease {
  /** Requests that the process may admit without asking again; 0 = the limit is reached. */
  leased: number;
  /** What remains for all processes after this. */
  remaining: number;
  /** Until the window ends, in milliseconds. */
  resetMs: number;
}

export interface LeaseRequest {
  limit: number;
  /** Requests that wait for an answer now. */
  needed: number;
  /** What the process would like to have in stock. */
  wanted: number;
}

/**
 * The counting that all processes share. What is leased to a process and not used by it is lost until the window ends; so a
 * lease is a small share of what remains, and one by one near the end.
 */
export abstract class WindowStore {
  /** Atomically. `leased` is as `leaseOf` says. */
  abstract lease(key: string, request: LeaseRequest): Promise<Lease>;
  /** Removes windows that ended, where the store does not do so by itself. */
  abstract prune(): Promise<void>;
}

/** The stores compute the same where the count is. */
export function leaseOf(remaining: number, { needed, wanted }: Pick<LeaseRequest, 'needed' | 'wanted'>): number {
  return Math.max(0, Math.min(remaining, Math.max(needed, Math.min(wanted, Math.floor(remaining / LEASE_SHARE)))));
}

