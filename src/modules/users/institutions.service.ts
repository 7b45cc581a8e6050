import { Injectable } from '@nestjs/common';
import { AppError, type Language } from '../../kernel/errors.js';
import { Database, type Scope } from '../../platform/database/database.js';
import { homeOf, type Principal } from '../../platform/http/access.js';
import { requireMatch } from '../../platform/http/if-match.js';
import { etagOf } from '../../platform/http/representation.js';
import { Outbox } from '../../platform/queue/outbox.js';
import { InstitutionStatesStore } from './institution-states.store.js';
import { InstitutionsStore, type Institution, type InstitutionChange } from './institutions.store.js';
import { invitationOf } from './new-users.service.js';
import { PrincipalsService } from './principals.service.js';
import { UsersStore, type User } from './users.store.js';

export interface InstitutionDraft {
  name: string;
  administrator?: { email: string; displayName: string } | undefined;
}

/** Platform administrators look after all institutions; everybody else knows their own only. */
@Injectable()
export class InstitutionsService {
  constructor(
    private readonly institutions: InstitutionsStore,
    private readonly states: InstitutionStatesStore,
    private readonly users: UsersStore,
    private readonly principals: PrincipalsService,
    private readonly outbox: Outbox,
    private readonly database: Database,
  ) {}

  /** Makes an institution and invites its first administrator, if one is named. @throws AppError `conflict` for a taken address */
  async create(principal: Principal, { name, administrator }: InstitutionDraft, language: Language): Promise<{ institution: Institution; administrator: User | null }> {
    return this.database.transaction('system', async (tx) => {
      const institution = await this.institutions.create(tx, name);
      if (!administrator) return { institution, administrator: null };
      const user = await this.users.create(tx, { ...administrator, institutionId: institution.id, role: 'admin', passwordHash: null });
      if (!user) throw new AppError('conflict', { detail: 'There is a user with this e-mail address.' });
      await this.outbox.append(tx, invitationOf(user, language, principal));
      return { institution, administrator: user };
    });
  }

  /**
   * @throws AppError `institution-not-found` for a foreign one, `precondition-failed`; `forbidden` for its state, which the platform decides;
   *   `conflict` for suspending one's own
   */
  async change(principal: Principal, id: string, change: InstitutionChange, ifMatch: string | undefined): Promise<Institution> {
    const changed = await this.database.transaction(scopeFor(principal, id), async (tx) => {
      const institution = await this.institutions.lock(tx, id);
      if (!institution) throw new AppError('institution-not-found');
      requireMatch(ifMatch, institutionETag(institution));
      if (change.state !== undefined && change.state !== institution.state) requirePlatform(principal, institution, 'suspended');
      return this.institutions.change(tx, id, change);
    });
    this.forget(changed.id);
    return changed;
  }

  /** Removes one that holds nothing of any patient. @throws AppError `institution-not-found`, `precondition-failed`, `forbidden`; `conflict` for one that does, and for one's own */
  async remove(principal: Principal, id: string, ifMatch: string | undefined): Promise<void> {
    await this.database.transaction(scopeFor(principal, id), async (tx) => {
      const institution = await this.institutions.lock(tx, id);
      if (!institution) throw new AppError('institution-not-found');
      requireMatch(ifMatch, institutionETag(institution));
      requirePlatform(principal, institution, 'removed');
      if (await this.institutions.holdsAnything(tx, id)) throw new AppError('conflict', { detail: 'It holds studies or patients: suspend it instead, or remove them first.' });
      await this.institutions.remove(tx, id);
    });
    this.forget(id.toLowerCase());
  }

  private forget(id: string): void {
    this.states.forget(id);
    this.principals.forgetPeople();
    this.principals.forgetKeys();
  }
}

/** Follows what can be edited. */
export function institutionETag({ id, name, state, requireSecondFactor, resultRetentionDays }: Institution): string {
  return etagOf(id, name, state, String(requireSecondFactor), String(resultRetentionDays));
}

/** @throws AppError `institution-not-found` when it is out of the caller's reach */
export function scopeFor(principal: Principal, id: string): Scope {
  if (principal.role === 'platform-admin') return 'system';
  if (id.toLowerCase() !== principal.institutionId) throw new AppError('institution-not-found');
  return principal;
}

function requirePlatform(principal: Principal, { id }: Institution, done: string): void {
  if (principal.role !== 'platform-admin') throw new AppError('forbidden', { detail: 'Only a platform administrator decides that.' });
  // The platform's own house stays open: there would be nobody left to open it.
  if (id === homeOf(principal).institutionId) throw new AppError('conflict', { detail: `One’s own institution cannot be ${done}.` });
}
