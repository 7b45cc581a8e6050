import { createHash, randomBytes } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT, type JWTPayload } from 'jose';
import Provider from 'oidc-provider';

const REDIRECT = 'https://viewer.hospital.example/callback';

export interface OidcIssuer {
  /** What its tokens name as issuer. */
  issuer: string;
  /** Signs somebody in through the pages of the provider, as a browser would, for an audience. */
  signIn(subject: string, audience: string): Promise<{ accessToken: string; idToken: string }>;
  /** A token with the issuer's key, changed where a test says so. */
  token(claims?: JWTPayload, header?: object): Promise<string>;
  /** Requests for its keys so far. */
  keyReads(): number;
  stop(): Promise<void>;
  /** Listens again where it did. */
  start(): Promise<void>;
}

/**
 * A real OpenID provider on this machine, whose access tokens are JWTs.
 *
 * @param people  claims by subject
 */
export async function startOidcIssuer(people: Record<string, Record<string, unknown>>): Promise<OidcIssuer> {
  const pair = await generateKeyPair('ES256', { extractable: true });
  const jwk = { ...(await exportJWK(pair.privateKey)), kid: 'issuer-1', use: 'sig', alg: 'ES256' };
  let server: Server = createServer();
  await listen(server, 0);
  const { port } = server.address() as AddressInfo;
  const issuer = `http://127.0.0.1:${String(port)}`;
  let reads = 0;
  const provider = new Provider(issuer, {
    jwks: { keys: [jwk] },
    clients: [{ client_id: 'viewer', client_secret: 'viewer-secret', redirect_uris: [REDIRECT], grant_types: ['authorization_code'], response_types: ['code'] }],
    cookies: { keys: ['cookie-secret'] },
    enabledJWA: { idTokenSigningAlgValues: ['ES256', 'RS256'] },
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    claims: { openid: ['sub', 'email', 'groups'] },
    conformIdTokenClaims: false,
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...people[id] }) }),
    extraTokenClaims: (_, token) => ('accountId' in token ? people[token.accountId] : undefined),
    features: {
      devInteractions: { enabled: true },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo: (_, resource) => ({ scope: 'openid', audience: resource.replace('urn:', ''), accessTokenFormat: 'jwt', accessTokenTTL: 600, jwt: { sign: { alg: 'ES256' } } }),
      },
    },
  });
  const answer = provider.callback();
  const serve = (target: Server): void => {
    target.on('request', (request, response) => {
      if (request.url === '/jwks') reads += 1;
      void answer(request, response);
    });
  };
  serve(server);
  return {
    issuer,
    signIn: (subject, audience) => codeFlow(issuer, subject, `urn:${audience}`),
    keyReads: () => reads,
    token: (claims = {}, header = {}) => new SignJWT(JSON.parse(JSON.stringify({ iss: issuer, sub: 'grace', aud: 'healthvision', exp: Math.floor(Date.now() / 1000) + 300, iat: Math.floor(Date.now() / 1000), ...claims })) as JWTPayload)
      .setProtectedHeader({ alg: 'ES256', kid: 'issuer-1', typ: 'at+jwt', ...header }).sign(pair.privateKey),
    stop: () => new Promise((resolve) => {
      server.close(() => { resolve(); });
      server.closeAllConnections();
    }),
    start: async () => {
      server = createServer();
      serve(server);
      await listen(server, port);
    },
  };
}

async function listen(server: Server, port: number): Promise<void> {
  await new Promise<void>((resolve) => { server.listen(port, '127.0.0.1', resolve); });
}

/** RFC 6749 §4.1 with PKCE, and the provider's own pages in between. */
async function codeFlow(issuer: string, subject: string, resource: string): Promise<{ accessToken: string; idToken: string }> {
  const verifier = randomBytes(32).toString('base64url');
  const cookies = new Map<string, string>();
  const visit = async (url: string, form?: Record<string, string>): Promise<string> => {
    const response = await fetch(new URL(url, issuer), {
      redirect: 'manual', headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
      ...(form && { method: 'POST', body: new URLSearchParams(form) }),
    });
    for (const cookie of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
      cookies.set(name, value);
    }
    const location = response.headers.get('location');
    if (location === null) throw new Error(`the provider stays: ${String(response.status)} ${await response.text()}`);
    return location;
  };
  const challenge = createHash('sha256').update(verifier).digest('base64url');
  let at = await visit(`/auth?${new URLSearchParams({ client_id: 'viewer', response_type: 'code', scope: 'openid', redirect_uri: REDIRECT, resource, code_challenge: challenge, code_challenge_method: 'S256' }).toString()}`);
  for (const form of [{ prompt: 'login', login: subject, password: 'any' }, { prompt: 'consent' }]) {
    // The page posts to its own address, and the provider goes on from there.
    at = await visit(await visit(at, form));
    if (at.startsWith(REDIRECT)) break;
  }
  const code = new URL(at).searchParams.get('code') ?? '';
  const response = await fetch(`${issuer}/token`, {
    method: 'POST', headers: { authorization: `Basic ${btoa('viewer:viewer-secret')}` },
    body: new URLSearchParams({ grant_type: 'authorization_code', code, redirect_uri: REDIRECT, code_verifier: verifier, resource }),
  });
  const tokens = (await response.json()) as { access_token?: string; id_token?: string };
  if (tokens.access_token === undefined || tokens.id_token === undefined) throw new Error(`no tokens: ${JSON.stringify(tokens)}`);
  return { accessToken: tokens.access_token, idToken: tokens.id_token };
}
