import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { AppError } from '../../kernel/errors.js';
import { isUuid } from '../../kernel/uid.js';
import { noteForAudit } from '../../platform/audit/audit-note.js';
import type { AuthenticatedRequest } from '../../platform/http/access.js';
import { RunsStore } from './runs.store.js';

/**
 * Refuses a stream of a run that is not there. A guard, because Nest sends the headers of a stream before its handler could look
 * into the database.
 */
@Injectable()
export class RunExistsGuard implements CanActivate {
  constructor(private readonly runs: RunsStore) {}

  /** @throws AppError `not-found`, `analysis-not-found` */
  async canActivate(context: ExecutionContext): Promise<boolean> {
    const request = context.switchToHttp().getRequest<AuthenticatedRequest & { params: { id?: string } }>();
    const { params, principal } = request;
    if (!principal) throw new AppError('unauthenticated');
    if (!isUuid(params.id)) throw new AppError('not-found');
    const run = await this.runs.find(principal.institutionId, params.id);
    if (!run) throw new AppError('analysis-not-found');
    noteForAudit(request, { studyInstanceUids: [run.studyInstanceUid] });
    return true;
  }
}
