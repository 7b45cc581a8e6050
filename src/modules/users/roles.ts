import { ROLE_PERMISSIONS, ROLES, type Permission, type Role } from './users.contract.js';

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

/**
 * Whether somebody with `own` permissions and role may give `role` away: never more than they hold themselves, and the
 * platform only by those who run it.
 */
export function mayGrant(role: Role, own: { role: string; permissions: ReadonlySet<string> }): boolean {
  if (role === 'platform-admin' && own.role !== 'platform-admin') return false;
  return ROLE_PERMISSIONS[role].every((permission) => own.permissions.has(permission));
}
