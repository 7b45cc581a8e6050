import { Injectable } from '@nestjs/common';
import { AppError } from '../../../kernel/errors.js';
import { ExpiringCache } from '../../../kernel/expiring-cache.js';
import { noteForAudit } from '../../../platform/audit/audit-note.js';
import type { AuthenticatedRequest, Principal } from '../../../platform/http/access.js';
import type { OidcIssuer } from '../../../platform/oidc-issuers.js';
import { Metrics } from '../../../platform/ops/metrics.js';
import { InstitutionStatesStore } from '../institution-states.store.js';
import { PrincipalsService } from '../principals.service.js';
import { permissionsOf } from '../roles.js';
import { sha256Hex } from '../secrets.js';
import type { Role } from '../users.contract.js';
import { displayNameOf, emailOf, institutionOf, roleOf } from './claim-mapping.js';
import { ExternalTokens, type ExternalClaims } from './external-tokens.js';
import { ExternalUsersStore, type ExternalUser } from './external-users.store.js';

/** A token's signature is checked again after this; a key that its issuer withdrew verifies for at most this much longer. */
const CHECKED_MS = 10_000;
const CAPACITY = 10_000;
const NOTED_MS = 3_600_000;

/** Who somebody is of an external issuer: a person here whose role is what the issuer says with each token. */
@Injectable()
export class ExternalPrincipals {
  private readonly checked = new ExpiringCache<{ exp: number; userId: string; institutionId: string; role: Role }>(CHECKED_MS, CAPACITY);

  constructor(
    private readonly tokens: ExternalTokens,
    private readonly users: ExternalUsersStore,
    private readonly principals: PrincipalsService,
    private readonly institutions: InstitutionStatesStore,
    private readonly metrics: Metrics,
  ) {
    metrics.caches.watch('external-token', this.checked.tally);
  }

  /** Whether the request carries a token that names one of the issuers as its own. */
  concerns({ headers: { authorization } }: AuthenticatedRequest): boolean {
    return this.tokens.issuerOf(authorization) !== undefined;
  }

  /**
   * @returns null when the token is not good, or the person disabled
   * @throws AppError `issuer-unavailable`, `institution-suspended`; `forbidden` for a good token of somebody who has no place here
   */
  async principalOf(request: AuthenticatedRequest): Promise<Principal | null> {
    const { authorization } = request.headers;
    const issuer = this.tokens.issuerOf(authorization);
    if (authorization === undefined || !issuer) return null;
    const known = await this.checked.get(sha256Hex(authorization), async () => {
      const claims = await this.tokens.check(authorization, issuer);
      if (!claims) return undefined;
      const role = this.require(roleOf(claims, issuer), request, 'role-not-mapped', 'The token gives no role here.');
      const { id, institutionId } = await this.settle(claims, issuer, role, request);
      return { exp: claims.exp, userId: id, institutionId, role };
    });
    if (!known || known.exp + 60 <= Date.now() / 1000) return null;
    const user = await this.principals.activeUser(known.userId, known.institutionId);
    return user && this.principals.withEmergency({ id: user.id, kind: 'user', userId: user.id, institutionId: user.institutionId, role: known.role, permissions: new Set(permissionsOf(known.role)) });
  }

  /** The person behind the claims, made on first sight. */
  private async settle(claims: ExternalClaims, issuer: OidcIssuer, role: Role, request: AuthenticatedRequest): Promise<ExternalUser> {
    const institutionId = this.require(institutionOf(claims, issuer), request, 'no-institution', 'The token names no institution.');
    const user = (await this.users.find(claims.iss, claims.sub)) ?? (await this.provision(claims, issuer, role, institutionId, request));
    if (user.institutionId !== institutionId) throw this.refusal(request, 'other-institution', 'This person belongs to another institution here.');
    if (user.isActive && (user.role !== role || (user.lastSignInAt?.getTime() ?? 0) < Date.now() - NOTED_MS)) {
      await this.users.update(user, role);
      this.principals.forgetPeople();
    }
    return user;
  }

  private async provision(claims: ExternalClaims, issuer: OidcIssuer, role: Role, institutionId: string, request: AuthenticatedRequest): Promise<ExternalUser> {
    if ((await this.institutions.of(institutionId)) === undefined) throw this.refusal(request, 'no-institution', 'The institution that the token names is not here.');
    const added = await this.users.add({ institutionId, issuer: claims.iss, subject: claims.sub, email: emailOf(claims, issuer), displayName: displayNameOf(claims, issuer), role });
    const user = await this.users.find(claims.iss, claims.sub);
    // Never linked to whoever has the address: it would let an issuer take over an account that is not its own.
    if (!user) throw this.refusal(request, 'email-taken', 'Somebody else here has this e-mail address.');
    if (added) this.metrics.signIns.inc({ grant: 'external', outcome: 'success' });
    noteForAudit(request, { object: user.id, details: { provisioned: added } });
    return user;
  }

  private require<T>(value: T | undefined, request: AuthenticatedRequest, why: string, detail: string): T {
    if (value === undefined) throw this.refusal(request, why, detail);
    return value;
  }

  private refusal(request: AuthenticatedRequest, why: string, detail: string): AppError {
    this.metrics.signIns.inc({ grant: 'external', outcome: 'refused' });
    noteForAudit(request, { details: { externalIdentity: why } });
    return new AppError('forbidden', { detail });
  }
}
