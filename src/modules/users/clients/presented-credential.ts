import { OAuthError } from '../oauth-error.js';

/** How systems prove themselves at the token endpoint; `tls_client_auth` where the product itself ends TLS. */
export const CLIENT_AUTH_METHODS = ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'tls_client_auth'];

const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

export interface ClientParameters {
  client_id?: string | undefined;
  client_secret?: string | undefined;
  client_assertion?: string | undefined;
  client_assertion_type?: string | undefined;
}

/** How a client proves itself, before anything of it was checked. */
export type PresentedCredential =
  | { kind: 'none' }
  | { kind: 'id'; clientId: string }
  | { kind: 'secret'; clientId: string; secret: string }
  | { kind: 'assertion'; assertion: string; clientId: string | undefined };

/**
 * @throws OAuthError `invalid_request` for more than one credential, `invalid_client` for one of a kind that we do not know
 * @see RFC 6749 §2.3.1, RFC 7521 §4.2
 */
export function presentedCredential(authorization: string | undefined, { client_id, client_secret, client_assertion, client_assertion_type }: ClientParameters): PresentedCredential {
  const basic = basicOf(authorization);
  if ([basic, client_secret, client_assertion].filter((credential) => credential !== undefined).length > 1) throw new OAuthError('invalid_request', 'The client proves itself in more than one way.');
  if (basic) {
    if (client_id !== undefined && client_id !== basic.clientId) throw new OAuthError('invalid_request', 'The client names itself in two ways.');
    return { kind: 'secret', ...basic };
  }
  if (client_assertion !== undefined) {
    if (client_assertion_type !== ASSERTION_TYPE) throw new OAuthError('invalid_client', `The client_assertion_type must be ${ASSERTION_TYPE}.`);
    return { kind: 'assertion', assertion: client_assertion, clientId: client_id };
  }
  if (client_id === undefined) return { kind: 'none' };
  return client_secret === undefined ? { kind: 'id', clientId: client_id } : { kind: 'secret', clientId: client_id, secret: client_secret };
}

/** Browsers' forms send a name and password that are both empty, which say nothing. */
function basicOf(authorization: string | undefined): { clientId: string; secret: string } | undefined {
  if (authorization === undefined) return undefined;
  const encoded = /^basic +([A-Za-z0-9+/]+={0,2})$/i.exec(authorization)?.[1];
  if (encoded === undefined) throw new OAuthError('invalid_client', 'The Authorization header must carry Basic credentials of a client.');
  const [, id, secret] = /^([^:]*):(.*)$/s.exec(Buffer.from(encoded, 'base64').toString()) ?? [];
  if (id === undefined || secret === undefined) throw new OAuthError('invalid_client', 'The Basic credentials cannot be read.');
  return id === '' && secret === '' ? undefined : { clientId: formDecoded(id), secret: formDecoded(secret) };
}

function formDecoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    throw new OAuthError('invalid_client', 'The Basic credentials cannot be read.');
  }
}
