/** How far the clocks of processes may differ before it counts. */
export const CLOCKS_DIFFER_MS = 5_000;
