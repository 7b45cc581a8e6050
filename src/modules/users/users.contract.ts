/** Every permission that a route can ask for. */
export const PERMISSIONS = [
  'institutions:read', 'institutions:write', 'institutions:create', 'users:read', 'users:write', 'api-keys:read', 'api-keys:write', 'oauth-clients:read', 'oauth-clients:write',
  'patients:read', 'patients:export', 'patients:erase', 'break-glass:use',
  'images:read', 'images:write', 'images:delete', 'images:hold', 'images:export', 'dimse-callers:read', 'dimse-callers:write',
  'analyses:read', 'analyses:create', 'analyses:cancel', 'routing:read', 'routing:write', 'critical-rules:read', 'critical-rules:write', 'models:read', 'models:choose', 'models:write',
  'results:read', 'results:review', 'destinations:read', 'destinations:write', 'notifications:read', 'audit:read', 'jobs:read', 'jobs:write',
] as const;

export type Permission = (typeof PERMISSIONS)[number];

/** Outbox topic: somebody took permissions in an emergency. */
export const ACCESS_BREAK_GLASS = 'access.break-glass';
/** Payload of `access.break-glass`. */
export type BreakGlassTaken = { institutionId: string; breakGlassId: string; userId: string };

export const ROLES = ['platform-admin', 'admin', 'radiologist', 'technician', 'auditor', 'service'] as const;
export type Role = (typeof ROLES)[number];

/** What concerns the whole installation. */
const PLATFORM: ReadonlySet<Permission> = new Set<Permission>(['institutions:create', 'models:write']);
const clinical = ['patients:read', 'images:read', 'analyses:read', 'models:read', 'results:read', 'notifications:read'] as const;

/** What break-glass gives for a while: to see what is needed to treat somebody, and to change nothing. */
export const EMERGENCY_PERMISSIONS = ['patients:read', 'images:read', 'analyses:read', 'results:read', 'notifications:read'] as const satisfies readonly Permission[];

/** What each role may do. A key carries a subset of its owner's. */
export const ROLE_PERMISSIONS: Readonly<Record<Role, readonly Permission[]>> = {
  'platform-admin': PERMISSIONS,
  'admin': PERMISSIONS.filter((permission) => !PLATFORM.has(permission)),
  'radiologist': [...clinical, 'critical-rules:read', 'images:write', 'analyses:create', 'analyses:cancel', 'results:review', 'api-keys:read', 'api-keys:write', 'break-glass:use'],
  'technician': [...clinical, 'images:write', 'analyses:create', 'analyses:cancel', 'break-glass:use'],
  'auditor': ['audit:read', 'users:read', 'institutions:read', 'jobs:read', 'break-glass:use'],
  'service': [...clinical, 'images:write', 'images:export', 'analyses:create', 'analyses:cancel'],
};

/** What a system may be given: the role `service`, and the audit trail for those that collect it. */
export const CLIENT_PERMISSIONS: readonly Permission[] = [...ROLE_PERMISSIONS.service, 'audit:read'];
