import { csvLine } from '../../../platform/http/csv.js';
import type { Escalation } from './escalation-report.store.js';

const PAGE = 500;
const COLUMNS = ['notificationId', 'startedAt', 'state', 'steps', 'stepsTaken', 'acknowledgedAt', 'acknowledgedBy', 'secondsToAcknowledgement'] as const;

/** A line for each escalation. @param read  reads one more than asked for, where there is one @see RFC 4180 */
export async function* escalationCsv(read: (page: { limit: number; cursor: string | undefined }) => Promise<Escalation[]>): AsyncGenerator<string> {
  yield csvLine(COLUMNS);
  for (let cursor: string | undefined; ;) {
    const rows = await read({ limit: PAGE, cursor });
    const shown = rows.slice(0, PAGE);
    if (shown.length > 0) yield shown.map(lineOf).join('');
    cursor = shown.at(-1)?.notificationId;
    if (rows.length <= PAGE) return;
  }
}

function lineOf({ notificationId, startedAt, state, steps, nextStep, acknowledgedAt, acknowledgedBy, seconds }: Escalation): string {
  const cells: Record<(typeof COLUMNS)[number], string | number | null> = {
    notificationId, startedAt: startedAt.toISOString(), state, steps: steps.length, stepsTaken: Math.min(nextStep, steps.length), acknowledgedAt: acknowledgedAt?.toISOString() ?? null, acknowledgedBy, secondsToAcknowledgement: seconds,
  };
  return csvLine(COLUMNS.map((column) => cells[column]));
}
