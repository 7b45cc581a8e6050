import { timeText } from '../../../platform/audit/audit-event.js';
import { csvLine } from '../../../platform/http/csv.js';
import type { AccessItem } from './audit-log.store.js';

const PAGE = 500;
const COLUMNS = ['at', 'name', 'userId', 'actorKind', 'actorId', 'role', 'source', 'action', 'outcome', 'status', 'purpose', 'reason', 'emergency', 'studyInstanceUids', 'object', 'requestId', 'id'] as const;

/** A line for each access, newest first. @param read  reads one more than asked for, where there is one @see RFC 4180 */
export async function* accessCsv(read: (cursor: string | undefined, limit: number) => Promise<AccessItem[]>): AsyncGenerator<string> {
  yield csvLine(COLUMNS);
  for (let cursor: string | undefined; ;) {
    const rows = await read(cursor, PAGE);
    const shown = rows.slice(0, PAGE);
    if (shown.length > 0) yield shown.map(lineOf).join('');
    cursor = shown.at(-1)?.id;
    if (rows.length <= PAGE) return;
  }
}

function lineOf(item: AccessItem): string {
  const cells: Record<(typeof COLUMNS)[number], string | number | null> = {
    at: timeText(item.at), name: item.name, userId: item.userId, actorKind: item.actorKind, actorId: item.actorId, role: item.role, source: item.source, action: item.action, outcome: item.outcome, status: item.status,
    purpose: item.purpose, reason: item.reason, emergency: item.purpose === 'emergency' ? 'yes' : '', studyInstanceUids: item.studyInstanceUids.join(' '), object: item.object, requestId: item.requestId, id: item.id,
  };
  return csvLine(COLUMNS.map((column) => cells[column]));
}
