import { FHIR_PERMISSIONS, type Permission } from '../users.contract.js';

const PERMISSION_OF: Readonly<Record<string, Permission>> = FHIR_PERMISSIONS;

/** Version 1 says `read`; version 2 `r` for the read by id, `s` for search. Nothing is written through FHIR. */
const SCOPE = /^system\/(\*|[A-Z][A-Za-z]{1,63})\.(?:read|rs|r|s)$/;

/** What discovery names; the narrower `.r` and `.s` are taken, too. */
export const SMART_SCOPES: readonly string[] = ['*', ...Object.keys(PERMISSION_OF)].flatMap((type) => [`system/${type}.read`, `system/${type}.rs`]);

/**
 * Permissions that a SMART Backend Services scope stands for; none when it is no such scope, or of a type that is not served.
 *
 * @see SMART App Launch 2.2, Scopes and Launch Context
 */
export function permissionsOfSmartScope(scope: string): readonly Permission[] {
  const type = SCOPE.exec(scope)?.[1];
  if (type === undefined) return [];
  if (type === '*') return [...new Set(Object.values(PERMISSION_OF))];
  return Object.hasOwn(PERMISSION_OF, type) ? [PERMISSION_OF[type]].filter((permission) => permission !== undefined) : [];
}

/** Everything that scopes name: permissions themselves, and what SMART scopes stand for. */
export function permissionsOfScopes(scopes: readonly string[]): ReadonlySet<string> {
  return new Set(scopes.flatMap((scope): readonly string[] => (scope.startsWith('system/') ? permissionsOfSmartScope(scope) : [scope])));
}

/** Whether somebody who holds `given` may have this scope. `system/*.read` gives what is held of it, so a part is enough. */
export function coversScope(given: readonly string[], scope: string): boolean {
  return scope.startsWith('system/') ? permissionsOfSmartScope(scope).some((permission) => given.includes(permission)) : given.includes(scope);
}
