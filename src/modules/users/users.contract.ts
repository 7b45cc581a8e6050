/** Every permission that a route can ask for. */
export const PERMISSIONS = [
  'institutions:read', 'institutions:write', 'institutions:create', 'users:read', 'users:write', 'api-keys:read', 'api-keys:write', 'oauth-clients:read', 'oauth-clients:write',
  'patients:read', 'patients:export', 'patients:erase', 'break-glass:use',
  'images:read', 'images:write', 'images:delete', 'images:hold', 'images:export', 'dimse-callers:read', 'dimse-callers:write',
  'analyses:read', 'analyses:create', 'analyses:cancel', 'routing:read', 'routing:write', 'critical-rules:read', 'critical-rules:write', 'models:read', 'models:choose', 'models:write',
  'results:read', 'results:review', 'destinations:read', 'destinations:write', 'webhooks:read', 'webhooks:write', 'notifications:read', 'audit:read', 'jobs:read', 'jobs:write', 'queues:write',
] as const;

export type Permission = (typeof PERMISSIONS)[number];

/** Outbox topic: somebody took permissions in an emergency. */
export const ACCESS_BREAK_GLASS = 'access.break-glass';
/** Payload of `access.break-glass`. */
export type BreakGlassTaken = { institutionId: string; breakGlassId: string; userId: string };

export const ROLES = ['platform-admin', 'admin', 'radiologist', 'technician', 'auditor', 'service'] as const;
export type Role = (typeof ROLES)[number];

/** What concerns the whole installation. */
const PLATFORM: ReadonlySet<Permission> = new Set<Permission>(['institutions:create', 'models:write', 'queues:write']);
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

/** What is needed to read FHIR resources of a type. */
export const FHIR_PERMISSIONS = {
  Patient: 'patients:read',
  ImagingStudy: 'images:read',
  DiagnosticReport: 'results:read', Observation: 'results:read', DocumentReference: 'results:read', Provenance: 'results:read', Device: 'results:read',
  AuditEvent: 'audit:read',
} as const satisfies Readonly<Record<string, Permission>>;

/** What a signed-in person shows once more, before something that a thief of their session should not do. */
export type PersonalProof = { password: string } | { code: string };

/** Asks a person who is signed in to prove that it is them. */
export abstract class PersonProofs {
  /**
   * A wrong answer counts as a failed sign-in does.
   *
   * @param person  where they are at home, and who they are
   * @returns how they are called
   * @throws AppError `password-incorrect`, `second-factor-invalid`; `too-many-requests` while the account is locked; `user-not-found`; `conflict` for a password where they sign in elsewhere
   */
  abstract prove(person: { institutionId: string; userId: string }, proof: PersonalProof): Promise<{ displayName: string }>;
  /** How a person is called; undefined when there is no such person. */
  abstract nameOf(person: { institutionId: string; userId: string }): Promise<string | undefined>;
}

/** Somebody who may be told of things. */
export interface Person {
  id: string;
  email: string;
  displayName: string;
  role: string;
  /** They can sign in: neither invited nor disabled, and their institution is not suspended. */
  isActive: boolean;
  /** Of their role. */
  permissions: ReadonlySet<string>;
}

/** The people of an institution, for those who have something to tell them. */
export abstract class People {
  /** Those of `ids` who are of the institution, whatever their state. */
  abstract withIds(institutionId: string, ids: readonly string[]): Promise<Person[]>;
  /** Everybody of these roles, whatever their state. */
  abstract withRoles(institutionId: string, roles: readonly string[]): Promise<Person[]>;
}
