import { describe, expect, it } from 'vitest';
import { clientPermissions } from '../roles.js';
import { coversScope, permissionsOfSmartScope, SMART_SCOPES } from './smart-scopes.js';

describe('SMART scopes', () => {
  it('stand for permissions, in the words of both versions', () => {
    for (const verb of ['read', 'rs', 'r', 's']) {
      expect(permissionsOfSmartScope(`system/ImagingStudy.${verb}`)).toEqual(['images:read']);
      expect(permissionsOfSmartScope(`system/Observation.${verb}`)).toEqual(['results:read']);
    }
    expect([...permissionsOfSmartScope('system/*.read')].sort()).toEqual(['audit:read', 'images:read', 'patients:read', 'results:read']);
    for (const scope of SMART_SCOPES) expect(permissionsOfSmartScope(scope), scope).not.toEqual([]);
  });

  it.each([
    'system/ImagingStudy.write', 'system/ImagingStudy.cruds', 'system/ImagingStudy.', 'system/ImagingStudy', 'user/ImagingStudy.read', 'patient/*.read', 'system/Encounter.read',
    'system/constructor.read', 'system/Patient.rs?name=x', 'system/*.*', 'images:read', '', 'system/Patient.read\nx',
  ])('are not %j', (scope) => {
    expect(permissionsOfSmartScope(scope)).toEqual([]);
  });

  it('are covered by the permissions they stand for; the wildcard by a part of them', () => {
    expect(coversScope(['results:read'], 'system/DiagnosticReport.rs')).toBe(true);
    expect(coversScope(['results:read'], 'system/ImagingStudy.rs')).toBe(false);
    expect(coversScope(['results:read'], 'system/*.read')).toBe(true);
    expect(coversScope(['models:read'], 'system/*.read')).toBe(false);
    expect(coversScope(['results:read'], 'results:read')).toBe(true);
  });
});

describe('what a client may do', () => {
  it('is what its token names of what it was given', () => {
    expect([...clientPermissions(['system/*.read', 'images:write'], ['images:read', 'results:read'])].sort()).toEqual(['images:read', 'results:read']);
    expect([...clientPermissions(['results:read'], ['images:read'])]).toEqual([]);
  });

  it('is never what a system may not have, whatever it was given', () => {
    expect([...clientPermissions(['users:write', 'audit:read'], ['users:write', 'audit:read'])]).toEqual(['audit:read']);
  });
});
