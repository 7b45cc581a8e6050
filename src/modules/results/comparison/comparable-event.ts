/** Outbox topic: a result of volumes was stored, and may be laid beside one of an earlier study. */
export const RESULT_COMPARABLE = 'result.comparable';
/** Payload of `result.comparable`. */
export type ResultComparable = { institutionId: string; resultId: string };
