import { z } from 'zod';
import { addressRanges, asRanges } from '../../../platform/http/addresses.js';
import { name } from '../fields.js';
import { CLIENT_PERMISSIONS, PERMISSIONS } from '../users.contract.js';
import { clientJwks } from './client-jwks.js';
import type { OAuthClientDraft } from './oauth-clients.service.js';
import type { OAuthClientChange } from './oauth-clients.store.js';

const settings = {
  name: name.meta({ example: 'Report archive' }),
  scopes: z.array(z.enum(PERMISSIONS)).min(1).max(PERMISSIONS.length).meta({ example: ['images:read', 'results:read'], description: `A subset of the caller’s permissions and of what systems may have: ${CLIENT_PERMISSIONS.join(', ')}` }),
  addresses: addressRanges.meta({ example: ['10.20.30.0/24'], description: 'Addresses that it may call from, CIDR; an address alone is a range of one. None = any.' }),
};
const draft = { ...settings, addresses: settings.addresses.default([]) };

const jwksUri = z.url({ protocol: /^https$/, hostname: z.regexes.domain }).max(2_000).regex(/^[\x21-\x7e]+$/, 'must be printable ASCII').meta({ example: 'https://archive.hospital.example/jwks.json', description: 'Where the client publishes its public keys; read again when it signs with a new one' });
/** As `openssl x509 -fingerprint -sha256` writes it, or plain. */
const certificateSha256 = z.string().transform((text) => text.replaceAll(':', '').toLowerCase()).pipe(z.string().regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 fingerprint in hexadecimal'))
  .meta({ example: 'a3:5b:…', description: 'SHA-256 fingerprint of the client certificate, hexadecimal, with or without colons' });

/** Each way to sign in has fields of its own, and takes no others. */
export const createClient = z
  .discriminatedUnion('authentication', [
    z.strictObject({ ...draft, authentication: z.literal('client_secret') }),
    z.strictObject({ ...draft, authentication: z.literal('private_key_jwt'), jwks: clientJwks.optional(), jwksUri: jwksUri.optional() })
      .refine(({ jwks, jwksUri: uri }) => (jwks === undefined) !== (uri === undefined), { error: 'give either jwks or jwksUri', path: ['jwks'] }),
    z.strictObject({ ...draft, authentication: z.literal('tls_client_auth'), certificateSha256 }),
  ])
  .meta({ id: 'CreateOAuthClient', example: { name: 'Report archive', scopes: ['images:read', 'results:read'], authentication: 'client_secret', addresses: ['10.20.30.0/24'] } });

export const updateClient = z
  .strictObject({ ...settings, state: z.enum(['active', 'disabled']), jwks: clientJwks, jwksUri, certificateSha256 })
  .partial()
  .refine((change) => Object.keys(change).length > 0, 'Nothing to change')
  .refine(({ jwks, jwksUri: uri }) => jwks === undefined || uri === undefined, { error: 'give either jwks or jwksUri', path: ['jwks'] })
  .meta({ id: 'UpdateOAuthClient', example: { state: 'disabled' } });

export function draftOf(body: z.output<typeof createClient>): OAuthClientDraft {
  const common = { name: body.name, scopes: [...new Set(body.scopes)], addresses: asRanges(body.addresses), authentication: body.authentication };
  switch (body.authentication) {
    case 'client_secret': return { ...common, credentials: {} };
    case 'private_key_jwt': return { ...common, credentials: { jwks: body.jwks ?? null, jwksUri: body.jwksUri ?? null } };
    case 'tls_client_auth': return { ...common, credentials: { certificateSha256: body.certificateSha256 } };
  }
}

/** Without the fields that were left out, which zod types as undefined; keys come by one way, so that the other is forgotten. */
export function givenOf({ name: newName, scopes, addresses, state, jwks, jwksUri: uri, certificateSha256: certificate }: z.output<typeof updateClient>): OAuthClientChange {
  return {
    ...(newName !== undefined && { name: newName }),
    ...(scopes !== undefined && { scopes: [...new Set(scopes)] }),
    ...(addresses !== undefined && { addresses: asRanges(addresses) }),
    ...(state !== undefined && { state }),
    ...(jwks !== undefined && { jwks, jwksUri: null }),
    ...(uri !== undefined && { jwksUri: uri, jwks: null }),
    ...(certificate !== undefined && { certificateSha256: certificate }),
  };
}
