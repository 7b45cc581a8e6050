import { Injectable } from '@nestjs/common';
import type { Principal } from '../../platform/http/access.js';
import type { AccessTokenClaims } from './access-token.js';
import { ApiKeysStore, type ApiKey } from './api-keys.store.js';
import { ExpiringCache } from '../../kernel/expiring-cache.js';
import { isAllowed } from '../../platform/http/addresses.js';
import { InstitutionStatesStore } from './institution-states.store.js';
import { BreakGlassService } from './break-glass/break-glass.service.js';
import { effectivePermissions } from './roles.js';
import { isApiKey, sha256Hex } from './secrets.js';
import { UsersStore, type User } from './users.store.js';

/** A user disabled elsewhere is cut off here after at most this; in the same process at once. */
const USER_LIFETIME_MS = 15_000;
const API_KEY_LIFETIME_MS = 5_000;
const CAPACITY = 10_000;

/** Turns what a request shows into who makes it, without the database when it asked a moment ago. */
@Injectable()
export class PrincipalsService {
  private readonly users = new ExpiringCache<User>(USER_LIFETIME_MS, CAPACITY);
  private readonly keys = new ExpiringCache<ApiKey>(API_KEY_LIFETIME_MS, CAPACITY);

  constructor(
    private readonly usersStore: UsersStore,
    private readonly apiKeysStore: ApiKeysStore,
    private readonly institutions: InstitutionStatesStore,
    private readonly breakGlass: BreakGlassService,
  ) {}

  /** @returns null when the user is gone or disabled. @throws AppError `institution-suspended` */
  async ofToken({ sub, institution_id, scope }: AccessTokenClaims): Promise<Principal | null> {
    const user = await this.activeUser(sub, institution_id);
    return user && this.withEmergency({ id: user.id, kind: 'user', userId: user.id, institutionId: user.institutionId, role: user.role, permissions: effectivePermissions(scope.split(' '), user.role) });
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
  private async withEmergency(principal: Principal): Promise<Principal> {
    const breakGlass = await this.breakGlass.beyond(principal.institutionId, principal.userId, principal.permissions);
    return breakGlass ? { ...principal, permissions: new Set([...principal.permissions, ...breakGlass.permissions]), breakGlass } : principal;
  }

  /** After a change to a user. */
  forgetUser(id: string): void {
    this.users.forget(id);
  }

  /** After a key was changed or revoked: keys are remembered by hash, which nobody has at hand then. */
  forgetKeys(): void {
    this.keys.clear();
  }

  /** @returns null when the user is gone, disabled, or not of this institution. @throws AppError `institution-suspended` */
  async activeUser(id: string, institutionId: string): Promise<User | null> {
    const user = await this.users.get(id, (userId) => this.usersStore.find(userId));
    if (user?.state !== 'active' || user.institutionId !== institutionId) return null;
    await this.institutions.requireActive(institutionId);
    return user;
  }

  private async loadKey(keyHash: string): Promise<ApiKey | undefined> {
    const key = await this.apiKeysStore.findByHash(keyHash);
    if (key?.revokedAt === null) await this.apiKeysStore.touch(key);
    return key;
  }
}
