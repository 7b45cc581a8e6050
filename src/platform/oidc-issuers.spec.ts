import { describe, expect, it } from 'vitest';
import { ConfigurationError, parseConfig } from './config.js';
import { MAPPED_ROLES } from './oidc-issuers.js';

const GOOD = { issuer: 'https://login.hospital.example/realms/a', audience: 'healthvision', institutionId: '0198c0de-0000-7000-8000-000000000000', roleClaim: 'realm_access.roles', roles: { doctors: 'radiologist' } };

function linesOf(value: unknown, more: Record<string, string> = {}): string[] {
  try {
    parseConfig({ OIDC_ISSUERS: typeof value === 'string' ? value : JSON.stringify(value), ...more });
    return [];
  } catch (error) {
    return error instanceof ConfigurationError ? error.lines : [String(error)];
  }
}

describe('OIDC_ISSUERS', () => {
  it('may be left out, or empty', () => {
    expect(parseConfig({}).OIDC_ISSUERS).toBeUndefined();
    expect(parseConfig({ OIDC_ISSUERS: '[]' }).OIDC_ISSUERS).toEqual([]);
  });

  it('is read with its defaults', () => {
    expect(parseConfig({ OIDC_ISSUERS: JSON.stringify([GOOD]) }).OIDC_ISSUERS).toEqual([{ ...GOOD, audience: ['healthvision'], emailClaim: 'email', nameClaim: 'name' }]);
  });

  it.each<[string, unknown, string[]]>([
    ['no JSON', '[{', ['OIDC_ISSUERS: must be a JSON array of issuers']],
    ['no array', GOOD, ['OIDC_ISSUERS: must be a JSON array of issuers']],
    ['an issuer in clear', [{ ...GOOD, issuer: 'http://login.hospital.example' }], ['OIDC_ISSUERS.0.issuer: must be an https:// URL (http:// only for localhost)']],
    ['another scheme', [{ ...GOOD, jwksUri: 'file:///etc/passwd' }], ['OIDC_ISSUERS.0.jwksUri: must be an https:// URL (http:// only for localhost)']],
    ['a role that is none', [{ ...GOOD, roles: { doctors: 'king' } }], [`OIDC_ISSUERS.0.roles.doctors: must be one of ${MAPPED_ROLES.join(', ')}`]],
    ['no roles', [{ ...GOOD, roles: {} }], ['OIDC_ISSUERS.0.roles: must map at least one value']],
    ['nowhere to belong', [{ ...GOOD, institutionId: undefined }], ['OIDC_ISSUERS.0: give either institutionId or institutionClaim']],
    ['two places to belong', [{ ...GOOD, institutionClaim: 'institution' }], ['OIDC_ISSUERS.0: give either institutionId or institutionClaim']],
    ['an issuer twice', [GOOD, GOOD], ['OIDC_ISSUERS: names an issuer twice']],
    ['two faults', [{ ...GOOD, institutionId: 'x' }, { ...GOOD, issuer: 'x', audience: 7 }], ['OIDC_ISSUERS.0.institutionId: must be the id of an institution', 'OIDC_ISSUERS.1.issuer: must be an https:// URL (http:// only for localhost)', 'OIDC_ISSUERS.1.audience: must be an audience or a list of them']],
    ['ourselves', [{ ...GOOD, issuer: 'https://hv.hospital.example' }], ['OIDC_ISSUERS: names this installation itself (PUBLIC_URL)']],
  ])('is refused with %s, a line for each fault', (_, value, lines) => {
    expect(linesOf(value, { PUBLIC_URL: 'https://hv.hospital.example/' })).toEqual(lines);
  });
});
