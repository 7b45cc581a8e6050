import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { OidcIssuer } from '../../../platform/oidc-issuers.js';
import { name as nameSchema } from '../fields.js';
import type { Role } from '../users.contract.js';

/** The value at a dotted path; undefined where a level is missing. A claim whose own name has dots goes first, as some issuers use URLs for names. */
export function claimAt(claims: Readonly<Record<string, unknown>>, path: string): unknown {
  if (Object.hasOwn(claims, path)) return claims[path];
  let value: unknown = claims;
  for (const level of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, level)) return undefined;
    // Just seen to be an object with that member.
    value = (value as Record<string, unknown>)[level];
  }
  return value;
}

/** The first role of the map that the claims give; undefined when they give none. A claim holds a text or a list of them. */
export function roleOf(claims: Readonly<Record<string, unknown>>, { roleClaim, roles }: Pick<OidcIssuer, 'roleClaim' | 'roles'>): Role | undefined {
  const value = claimAt(claims, roleClaim);
  const held = new Set(Array.isArray(value) ? value : [value]);
  return Object.entries(roles).find(([claimed]) => held.has(claimed))?.[1];
}

/** @returns undefined when the claims name none */
export function institutionOf(claims: Readonly<Record<string, unknown>>, { institutionId, institutionClaim }: Pick<OidcIssuer, 'institutionId' | 'institutionClaim'>): string | undefined {
  const value = institutionId ?? (institutionClaim === undefined ? undefined : claimAt(claims, institutionClaim));
  return z.uuid().safeParse(value).data?.toLowerCase();
}

/**
 * Under which address somebody is listed. One that the issuer calls unverified could be anybody's, and a token need not carry any: then it is one
 * that belongs to nobody.
 */
export function emailOf(claims: Readonly<Record<string, unknown>> & { iss: string; sub: string }, { emailClaim }: Pick<OidcIssuer, 'emailClaim'>): string {
  const email = z.email().max(254).safeParse(claimAt(claims, emailClaim));
  if (email.success && claims.email_verified !== false) return email.data.toLowerCase();
  return `${createHash('sha256').update(JSON.stringify([claims.iss, claims.sub])).digest('hex').slice(0, 32)}@external.invalid`;
}

export function displayNameOf(claims: Readonly<Record<string, unknown>>, { nameClaim }: Pick<OidcIssuer, 'nameClaim'>): string {
  const name = nameSchema.safeParse(claimAt(claims, nameClaim));
  return name.success ? name.data : 'External user';
}
