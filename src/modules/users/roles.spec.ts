import { describe, expect, it } from 'vitest';
import { effectivePermissions, isRole, lastingPermissions, mayGrant, permissionsOf } from './roles.js';
import { PERMISSIONS, ROLE_PERMISSIONS, ROLES } from './users.contract.js';

const holder = (role: string, permissions: readonly string[] = permissionsOf(role)) => ({ role, permissions: new Set(permissions) });

describe('roles', () => {
  it('hold only permissions that exist, each once', () => {
    for (const role of ROLES) {
      expect(new Set(ROLE_PERMISSIONS[role]).size).toBe(ROLE_PERMISSIONS[role].length);
      expect(ROLE_PERMISSIONS[role].filter((permission) => !PERMISSIONS.includes(permission))).toEqual([]);
    }
  });

  it('that nobody knows hold nothing', () => {
    expect(permissionsOf('king')).toEqual([]);
    expect(permissionsOf('toString')).toEqual([]);
    expect(isRole('__proto__')).toBe(false);
  });

  it('cut what a token was given', () => {
    expect([...effectivePermissions(['images:read', 'users:write', 'nonsense'], 'radiologist')]).toEqual(['images:read']);
    expect([...effectivePermissions([''], 'admin')]).toEqual([]);
  });

  it('are given by those who hold as much', () => {
    expect(mayGrant('technician', holder('admin'))).toBe(true);
    expect(mayGrant('admin', holder('admin'))).toBe(true);
    expect(mayGrant('admin', holder('radiologist'))).toBe(false);
    expect(mayGrant('auditor', holder('radiologist'))).toBe(false);
    expect(mayGrant('technician', holder('platform-admin', ['users:write']))).toBe(false);
    // What an emergency adds is given on to nobody.
    const breakGlass = { id: 'one', reason: 'An emergency', permissions: new Set<string>(['patients:read']) };
    expect(mayGrant('technician', { ...holder('admin'), breakGlass })).toBe(false);
    expect(lastingPermissions({ ...holder('admin', ['patients:read', 'users:read']), breakGlass })).toEqual(new Set(['users:read']));
  });

  it('of the platform come only from the platform, though an admin holds the same permissions', () => {
    expect(mayGrant('platform-admin', holder('admin', PERMISSIONS))).toBe(false);
    expect(mayGrant('platform-admin', holder('platform-admin'))).toBe(true);
  });
});
