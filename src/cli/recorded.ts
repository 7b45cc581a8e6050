import type { INestApplicationContext } from '@nestjs/common';
import { hostname, userInfo } from 'node:os';
import { AppError } from '../kernel/errors.js';
import { INSTALLATION, type AuditDraft } from '../platform/audit/audit-event.js';
import { AuditWriter } from '../platform/audit/audit-writer.js';

/** What an event says of work that is done. */
type Told = Pick<AuditDraft, 'object' | 'details'>;

/**
 * Does what somebody at the machine asked for, on record in the chain of the installation: that it is attempted before it begins, and how it ended. Without the first nothing is done.
 *
 * @param tell  no secret, and nothing of a patient
 * @throws AppError `audit-unavailable`, and what `work` throws
 */
export async function recorded<T>(app: INestApplicationContext, action: string, work: () => Promise<T>, tell: (done: T) => Told): Promise<T> {
  const writer = app.get(AuditWriter);
  const draft = { institutionId: INSTALLATION, actorKind: 'system' as const, source: hostname(), action };
  const details = { by: 'command line', account: accountName() };
  await writer.write({ ...draft, outcome: 'attempted', details });
  let done: T;
  try {
    done = await work();
  } catch (error) {
    // The error itself is what the caller has to know.
    await writer.write({ ...draft, outcome: 'failed', code: error instanceof AppError ? error.code : 'internal', details }).catch(() => undefined);
    throw error;
  }
  const told = tell(done);
  await writer.write({ ...draft, outcome: 'succeeded', ...told, details: { ...details, ...told.details } });
  return done;
}

/** Of the operating system; some containers have none. */
function accountName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? 'unknown');
  }
}
