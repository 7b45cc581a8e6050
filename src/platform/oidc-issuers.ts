import { z } from 'zod';

/** Of `users.contract.ts`, which the platform does not know; a test holds them together. */
export const MAPPED_ROLES = ['platform-admin', 'admin', 'radiologist', 'technician', 'auditor', 'service'] as const;

const LOCAL = new Set(['localhost', '127.0.0.1', '[::1]']);

const url = z.string().refine(isSafe, 'must be an https:// URL (http:// only for localhost)');
const claimPath = z.string().regex(/^[^.\s]+(\.[^.\s]+)*$/, 'must be the name of a claim, with dots between levels');
const audiences = z.union([z.string().min(1), z.array(z.string().min(1)).min(1)], 'must be an audience or a list of them').transform((value) => (typeof value === 'string' ? [value] : value));

const issuer = z
  .strictObject({
    /** Exactly as its tokens write it. */
    issuer: url,
    audience: audiences,
    /** Where its keys are; discovery says so when this does not. */
    jwksUri: url.optional(),
    /** Where its people belong: all to one institution, or each to the one that a claim names. */
    institutionId: z.uuid('must be the id of an institution').optional(),
    institutionClaim: claimPath.optional(),
    roleClaim: claimPath,
    /** Value of the claim → role; of several that a person has, the first one here counts. Who has none gets no access. */
    roles: z.record(z.string(), z.enum(MAPPED_ROLES, `must be one of ${MAPPED_ROLES.join(', ')}`)).refine((roles) => Object.keys(roles).length > 0, 'must map at least one value'),
    emailClaim: claimPath.default('email'),
    nameClaim: claimPath.default('name'),
  })
  .refine(({ institutionId, institutionClaim }) => (institutionId === undefined) !== (institutionClaim === undefined), 'give either institutionId or institutionClaim');

/** An OpenID Connect issuer whose tokens are taken. */
export type OidcIssuer = Readonly<z.output<typeof issuer>>;

/** `OIDC_ISSUERS`: a JSON array. */
export const oidcIssuers = z
  .string()
  .transform((text, context) => {
    try {
      return JSON.parse(text) as unknown;
    } catch {
      context.addIssue({ code: 'custom', message: 'must be a JSON array of issuers' });
      return z.NEVER;
    }
  })
  .pipe(z.array(issuer, 'must be a JSON array of issuers').max(20))
  .refine((list) => new Set(list.map((one) => one.issuer)).size === list.length, 'names an issuer twice');

function isSafe(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname } = new URL(text);
  return protocol === 'https:' || (protocol === 'http:' && LOCAL.has(hostname));
}
