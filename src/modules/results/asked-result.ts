import type { FastifyRequest } from 'fastify';
import { AppError } from '../../kernel/errors.js';
import { noteForAudit } from '../../platform/audit/audit-note.js';

/** The result that a caller asked for; that they are shown something of its study goes on record. @throws AppError `result-not-found` for null */
export function askedResult<R extends { studyInstanceUid: string }>(request: FastifyRequest, found: R | null): R {
  if (!found) throw new AppError('result-not-found');
  noteForAudit(request, { studyInstanceUids: [found.studyInstanceUid] });
  return found;
}
