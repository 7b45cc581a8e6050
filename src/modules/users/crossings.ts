import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { AppError } from '../../kernel/errors.js';
import { noteForAudit } from '../../platform/audit/audit-note.js';
import type { AuthenticatedRequest, Principal } from '../../platform/http/access.js';
import { Metrics } from '../../platform/ops/metrics.js';
import { InstitutionStatesStore } from './institution-states.store.js';
import { lastingPermissions } from './roles.js';

const REASON = { min: 10, max: 500 };

/** How a platform administrator enters an institution that is not theirs: request by request, with a reason that stays on record. */
@Injectable()
export class Crossings {
  constructor(
    private readonly institutions: InstitutionStatesStore,
    private readonly metrics: Metrics,
  ) {}

  /**
   * The principal, at work in the institution that `X-Institution-Id` or the path names. A suspended one can be entered, too: whoever looks after it must.
   *
   * @param named  by the path of a route that changes an institution itself: it is entered for that, by platform administrators
   * @throws AppError `forbidden` for everybody but platform administrators in person, `access-reason-required`, `institution-not-found`
   */
  async enter(request: AuthenticatedRequest, principal: Principal, named?: string): Promise<Principal> {
    const header = request.headers['x-institution-id'];
    const target = named !== undefined && principal.role === 'platform-admin' ? named : header;
    if (target === undefined || target === principal.institutionId) return principal;
    try {
      if (target === named) await this.requireReach(named, header, principal);
      const crossed = await this.cross(String(target).toLowerCase(), request, principal);
      if (crossed.crossing) this.metrics.crossings.inc({ outcome: 'entered' });
      return crossed;
    } catch (error) {
      this.metrics.crossings.inc({ outcome: 'refused' });
      throw error;
    }
  }

  /** Platform administrators see all institutions, so that one which is not there is that before anything else. @throws AppError `institution-not-found`, also for one that is named from within a third */
  private async requireReach(named: string, header: string | string[] | undefined, { institutionId: own }: Principal): Promise<void> {
    const within = String(header ?? own).toLowerCase();
    const isThere = z.uuid().safeParse(named).success && (await this.institutions.of(named.toLowerCase())) !== undefined;
    if (!isThere || (within !== own && within !== named.toLowerCase())) throw new AppError('institution-not-found');
  }

  private async cross(institutionId: string, request: AuthenticatedRequest, principal: Principal): Promise<Principal> {
    if (institutionId === principal.institutionId) return principal;
    if (z.uuid().safeParse(institutionId).success) noteForAudit(request, { details: { towardsInstitutionId: institutionId } });
    if (principal.role !== 'platform-admin' || principal.kind !== 'user') throw new AppError('forbidden', { detail: 'Only a platform administrator, in person, enters another institution.' });
    const reason = reasonOf(request.headers['x-access-reason']);
    if (!z.uuid().safeParse(institutionId).success || (await this.institutions.of(institutionId)) === undefined) throw new AppError('institution-not-found');
    noteForAudit(request, { reason, details: { fromInstitutionId: principal.institutionId } });
    // An emergency at home is none there.
    const { breakGlass: _, ...own } = principal;
    return { ...own, permissions: lastingPermissions(principal), institutionId, crossing: { fromInstitutionId: principal.institutionId, reason } };
  }
}

/** Headers carry bytes, so that other letters than English come as UTF-8 or percent-encoded. */
function reasonOf(header: string | string[] | undefined): string {
  const text = decoded(Buffer.from(String(header ?? ''), 'latin1').toString()).trim();
  if (text.length >= REASON.min && text.length <= REASON.max && !/[\u0000-\u001f\u007f-\u009f\ufffd]/.test(text)) return text;
  throw new AppError('access-reason-required', { detail: `X-Access-Reason must hold ${REASON.min} to ${REASON.max} characters of text.` });
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // A percent sign that is only one.
    return text;
  }
}
