import { Injectable } from '@nestjs/common';
import type { Principal } from '../../platform/http/access.js';
import type { AccessTokenClaims } from './access-token.js';
import { ApiKeysStore, type ApiKey } from './api-keys.store.js';
import { ExpiringCache } from '../../kernel/expiring-cache.js';
import { isAllowed } from '../../platform/http/addresses.js';
import { Metrics } from '../../platform/ops/metrics.js';
import { InstitutionStatesStore } from './institution-states.store.js';
import { BreakGlassService } from './break-glass/break-glass.service.js';
import { effectivePermissions, permissionsOf } from './roles.js';
import { isApiKey, sha256Hex } from './secrets.js';
import { SessionsStore } from './sessions/sessions.store.js';
import { SignedInStore, type SignedIn } from './sessions/signed-in.store.js';

/** A user disabled, or a sign-in ended, elsewhere is cut off here after at most this; in the same process at once. */
const PERSON_LIFETIME_MS = 15_000;
const API_KEY_LIFETIME_MS = 5_000;
const CAPACITY = 10_000;
const MOST_COMBINATIONS = 500;

/** Turns what a request shows into who makes it, without the database when it asked a moment ago. */
@Injectable()
export class PrincipalsService {
  private readonly people = new ExpiringCache<SignedIn>(PERSON_LIFETIME_MS, CAPACITY);
  private readonly permissions = new Map<string, ReadonlySet<string>>();
  private readonly keys = new ExpiringCache<ApiKey>(API_KEY_LIFETIME_MS, CAPACITY);

  constructor(
    private readonly signedIn: SignedInStore,
    private readonly sessions: SessionsStore,
    private readonly apiKeysStore: ApiKeysStore,
    private readonly institutions: InstitutionStatesStore,
    private readonly breakGlass: BreakGlassService,
    { caches }: Metrics,
  ) {
    caches.watch('person', this.people.tally);
    caches.watch('api-key', this.keys.tally);
  }

  /** @returns null when the user is gone or disabled, or the sign-in ended. @throws AppError `institution-suspended` */
  async ofToken({ sub, institution_id, scope, sid }: AccessTokenClaims): Promise<Principal | null> {
    const person = await this.active(await this.people.get(`${sub}/${sid ?? ''}`, () => this.load(() => this.signedIn.find(sub, sid ?? null))), institution_id);
    if (!person || (sid !== undefined && person.sessionLives !== true)) return null;
    return this.withEmergency(principalOf(person, this.permissionsIn(scope, person.role)));
  }

  /** @param secret  of a page's cookie. @returns null when its sign-in ended, or as `ofToken`. @throws AppError `institution-suspended` */
  async ofCookie(secret: string): Promise<Principal | null> {
    const secretHash = sha256Hex(secret);
    const person = await this.active(await this.people.get(`cookie/${secretHash}`, () => this.load(() => this.signedIn.findByCookie(secretHash))));
    return person?.sessionLives === true ? this.withEmergency(principalOf(person, new Set(permissionsOf(person.role)))) : null;
  }

  /** @returns null when the key is unknown, revoked, expired, used from elsewhere, or its owner disabled. @throws AppError `institution-suspended` */
  async ofApiKey(text: string, address: string): Promise<Principal | null> {
    if (!isApiKey(text)) return null;
    const key = await this.keys.get(sha256Hex(text), (keyHash) => this.loadKey(keyHash));
    if (key?.revokedAt !== null || (key.expiresAt !== null && key.expiresAt.getTime() <= Date.now()) || !isAllowed(key.addresses, address)) return null;
    const owner = await this.activeUser(key.userId, key.institutionId);
    return owner && { id: key.id, kind: 'api-key', userId: owner.id, institutionId: key.institutionId, role: owner.role, permissions: effectivePermissions(key.scopes, owner.role) };
  }

  /** With what emergency access adds, for people alone. */
  async withEmergency(principal: Principal): Promise<Principal> {
    if (principal.lacksSecondFactor) return principal;
    const breakGlass = await this.breakGlass.beyond(principal.institutionId, principal.userId, principal.permissions);
    return breakGlass ? { ...principal, permissions: new Set([...principal.permissions, ...breakGlass.permissions]), breakGlass } : principal;
  }

  /** After a change to a user, their sign-ins, or what their institution asks of them: people are remembered by sign-in. */
  forgetPeople(): void {
    this.people.clear();
  }

  /** After a key was changed or revoked: keys are remembered by hash, which nobody has at hand then. */
  forgetKeys(): void {
    this.keys.clear();
  }

  /** @returns null when the user is gone, disabled, or not of this institution. @throws AppError `institution-suspended` */
  async activeUser(id: string, institutionId: string): Promise<Pick<SignedIn, 'id' | 'institutionId' | 'role'> | null> {
    return this.active(await this.people.get(`${id}/`, () => this.signedIn.find(id, null)), institutionId);
  }

  /** Few combinations of scopes and roles are in use, and each makes the same set. */
  private permissionsIn(scope: string, role: string): ReadonlySet<string> {
    const key = `${role} ${scope}`;
    const known = this.permissions.get(key);
    if (known) return known;
    if (this.permissions.size >= MOST_COMBINATIONS) this.permissions.clear();
    const made = effectivePermissions(scope.split(' '), role);
    this.permissions.set(key, made);
    return made;
  }

  private async active(person: SignedIn | undefined, institutionId = person?.institutionId): Promise<SignedIn | null> {
    if (person?.state !== 'active' || person.institutionId !== institutionId) return null;
    await this.institutions.requireActive(person.institutionId);
    return person;
  }

  private async load(find: () => Promise<SignedIn | undefined>): Promise<SignedIn | undefined> {
    const person = await find();
    if (person?.sessionLives === true && person.sessionId !== null && (person.lastSeenAt?.getTime() ?? 0) < Date.now() - 60_000) await this.sessions.touch(person.institutionId, person.sessionId);
    return person;
  }

  private async loadKey(keyHash: string): Promise<ApiKey | undefined> {
    const key = await this.apiKeysStore.findByHash(keyHash);
    if (key?.revokedAt === null) await this.apiKeysStore.touch(key);
    return key;
  }
}

/** Whoever has yet to set up the second factor that their institution asks for may do nothing else, whatever their token says. */
function principalOf({ id, institutionId, role, sessionId, requireSecondFactor, secondFactor }: SignedIn, permissions: ReadonlySet<string>): Principal {
  const lacks = requireSecondFactor && !secondFactor;
  return {
    id, kind: 'user', userId: id, institutionId, role, permissions: lacks ? new Set() : permissions,
    ...(sessionId !== null && { sessionId }), ...(lacks && { lacksSecondFactor: true as const }),
  };
}
