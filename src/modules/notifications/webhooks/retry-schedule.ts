const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

/** Before the second try, the third and so on: three days and three hours in all. @see Standard Webhooks, "Deliverability and reliability" */
const WAITS_MS = [5 * SECOND_MS, 5 * MINUTE_MS, 30 * MINUTE_MS, 2 * HOUR_MS, 5 * HOUR_MS, 10 * HOUR_MS, 14 * HOUR_MS, 20 * HOUR_MS, 24 * HOUR_MS];
/** Waits are longer by up to this share, so that those that failed together do not come back together. */
const JITTER = 0.2;
/** An endpoint may ask for more patience, within reason. */
const LONGEST_ASKED_MS = 24 * HOUR_MS;

export const MOST_TRIES = WAITS_MS.length + 1;

/**
 * How long an event waits for its next try.
 *
 * @param attempts  tries that have failed
 * @param askedMs  what the endpoint asked for by Retry-After
 * @returns milliseconds; undefined when it is given up
 */
export function waitAfter(attempts: number, askedMs = 0, random: () => number = Math.random): number | undefined {
  const wait = WAITS_MS[attempts - 1];
  return wait === undefined ? undefined : Math.max(Math.round(wait * (1 + JITTER * random())), Math.min(askedMs, LONGEST_ASKED_MS));
}

/** Of the header of this name, in milliseconds; 0 when there is none that can be read. @see RFC 9110 §10.2.3 */
export function retryAfterMs(header: string | null, now: number = Date.now()): number {
  const value = header?.trim() ?? '';
  if (/^\d{1,9}$/.test(value)) return Number(value) * SECOND_MS;
  const at = /^[A-Z][a-z]{2}, /.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(at) ? 0 : Math.max(0, at - now);
}
