/** How often a cache had what it was asked for, since the process started. */
export interface CacheTally {
  hits: number;
  misses: number;
}

export function newTally(): CacheTally {
  return { hits: 0, misses: 0 };
}
