import { AppError } from '../../kernel/errors.js';
import type { Principal } from '../../platform/http/access.js';
import { permissionsOfScopes } from './clients/smart-scopes.js';
import { CLIENT_PERMISSIONS, ROLE_PERMISSIONS, ROLES, type Permission, type Role } from './users.contract.js';

export function isRole(text: string): text is Role {
  return (ROLES as readonly string[]).includes(text);
}

/** What a role may do; a role that this version does not know may do nothing. */
export function permissionsOf(role: string): readonly Permission[] {
  return isRole(role) ? ROLE_PERMISSIONS[role] : [];
}

/** What is left of a token's or key's scopes once its owner's role is applied: a demotion takes effect at once. */
export function effectivePermissions(scopes: readonly string[], role: string): ReadonlySet<Permission> {
  const given = new Set(scopes);
  return new Set(permissionsOf(role).filter((permission) => given.has(permission)));
}

type Granter = Pick<Principal, 'role' | 'permissions' | 'breakGlass'>;

/** Without what emergency access gives: that ends with it, and is given on to nobody. */
export function lastingPermissions({ permissions, breakGlass }: Pick<Principal, 'permissions' | 'breakGlass'>): ReadonlySet<string> {
  return breakGlass ? new Set([...permissions].filter((permission) => !breakGlass.permissions.has(permission))) : permissions;
}

/**
 * Whether somebody with `own` permissions and role may give `role` away: never more than they hold themselves, and the
 * platform only by those who run it.
 */
export function mayGrant(role: Role, own: Granter): boolean {
  const permissions = lastingPermissions(own);
  if (role === 'platform-admin' && own.role !== 'platform-admin') return false;
  return ROLE_PERMISSIONS[role].every((permission) => permissions.has(permission));
}

/** @throws AppError `forbidden` for a role that the caller may not give */
export function requireGrant(role: Role, own: Granter): void {
  if (!mayGrant(role, own)) throw new AppError('forbidden', { detail: 'A role with permissions that the caller lacks cannot be given.' });
}

/**
 * What a client's token may do: what its scopes name, of what the client was given, of what a system may have at all. So a
 * scope taken from the client is taken from its tokens, too.
 *
 * @param scopes  of the token: permissions and SMART scopes
 * @param given  permissions of the client as it is registered now
 */
export function clientPermissions(scopes: readonly string[], given: readonly string[]): ReadonlySet<Permission> {
  const named = permissionsOfScopes(scopes);
  return new Set(CLIENT_PERMISSIONS.filter((permission) => named.has(permission) && given.includes(permission)));
}
