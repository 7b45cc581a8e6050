import { readlinkSync } from 'node:fs';
import { constants, setPriority } from 'node:os';

/**
 * Makes the calling thread give way to others: a request that comes while a worker thread computes is answered first. Linux only,
 * where priorities belong to threads; elsewhere, and where it is not permitted, nothing changes.
 */
export function computeInBackground(): void {
  try {
    // "<pid>/task/<tid>" of the thread that asks.
    const threadId = Number(readlinkSync('/proc/thread-self').split('/').at(-1));
    setPriority(threadId, constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {
    // Slower answers under load, nothing else.
  }
}
