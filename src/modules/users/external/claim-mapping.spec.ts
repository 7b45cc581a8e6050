import { describe, expect, it } from 'vitest';
import { MAPPED_ROLES } from '../../../platform/oidc-issuers.js';
import { ROLES } from '../users.contract.js';
import { claimAt, displayNameOf, emailOf, institutionOf, roleOf } from './claim-mapping.js';

const ID = '0198C0DE-0000-7000-8000-000000000000';

describe('a claim', () => {
  it('is found level by level, or under a name with dots', () => {
    expect(claimAt({ realm_access: { roles: ['a'] } }, 'realm_access.roles')).toEqual(['a']);
    expect(claimAt({ 'https://hospital.example/role': 'b' }, 'https://hospital.example/role')).toBe('b');
    expect(claimAt({ a: 'text' }, 'a.length')).toBeUndefined();
    expect(claimAt({}, 'constructor.name')).toBeUndefined();
    expect(claimAt({ a: null }, 'a.b')).toBeUndefined();
  });
});

describe('a role', () => {
  const mapping = { roleClaim: 'groups', roles: { heads: 'admin', doctors: 'radiologist' } } as const;

  it('is the first of the map that the claim holds, text or list', () => {
    expect(roleOf({ groups: ['doctors', 'heads'] }, mapping)).toBe('admin');
    expect(roleOf({ groups: 'doctors' }, mapping)).toBe('radiologist');
  });

  it.each([[{}], [{ groups: [] }], [{ groups: 'Doctors' }], [{ groups: { doctors: true } }], [{ groups: ['toString', '__proto__', 7, null] }], [{ groups: 'doctors heads' }]])('is none for %j', (claims) => {
    expect(roleOf(claims, mapping)).toBeUndefined();
  });

  it('can be every role there is and no other', () => {
    expect([...MAPPED_ROLES]).toEqual([...ROLES]);
  });
});

describe('a person', () => {
  it('belongs to the institution of the setting, or of the claim', () => {
    expect(institutionOf({}, { institutionId: ID, institutionClaim: undefined })).toBe(ID.toLowerCase());
    expect(institutionOf({ at: ID }, { institutionId: undefined, institutionClaim: 'at' })).toBe(ID.toLowerCase());
    expect(institutionOf({ at: "' OR 1=1" }, { institutionId: undefined, institutionClaim: 'at' })).toBeUndefined();
  });

  it('has the address that the issuer vouches for, else one that is nobody’s', () => {
    const who = { iss: 'https://login.example', sub: '7' };
    expect(emailOf({ ...who, email: 'Grace@Hospital.example' }, { emailClaim: 'email' })).toBe('grace@hospital.example');
    const unverified = emailOf({ ...who, email: 'grace@hospital.example', email_verified: false }, { emailClaim: 'email' });
    expect(unverified).toMatch(/^[0-9a-f]{32}@external\.invalid$/);
    expect(emailOf(who, { emailClaim: 'email' })).toBe(unverified);
    expect(emailOf({ ...who, sub: '8', email: 'no address' }, { emailClaim: 'email' })).not.toBe(unverified);
  });

  it('has a name of one line', () => {
    expect(displayNameOf({ name: ' Grace ' }, { nameClaim: 'name' })).toBe('Grace');
    expect(displayNameOf({ name: 'two\nlines' }, { nameClaim: 'name' })).toBe('External user');
  });
});
