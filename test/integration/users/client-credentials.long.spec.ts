import { createHmac, randomUUID } from 'node:crypto';
import { decodeJwt, exportJWK, generateKeyPair, SignJWT, type JWK, type JWTPayload } from 'jose';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AppError } from '../../../src/kernel/errors.js';
import { ClientDocuments } from '../../../src/modules/users/clients/client-documents.js';
import { eventually } from '../../support/product.js';
import { call, openHouse, postForm, signIn, type House, type Tokens } from './house.js';

const TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

interface Client { id: string; clientSecret: string }

let house: House;
let token: string;
let sql: pg.Client;

beforeAll(async () => {
  house = await openHouse();
  token = (await signIn(house.url)).access_token;
  sql = new pg.Client({ connectionString: house.database.url });
  await sql.connect();
});
afterAll(async () => {
  await sql.end();
  await house.close();
});

async function client(body: object = {}): Promise<Client> {
  const { status, body: made } = await call<Client>(token, 'POST', `${house.url}/api/v1/oauth-clients`, { name: 'Archive', scopes: ['images:read', 'results:read', 'images:write'], authentication: 'client_secret', ...body });
  if (status !== 201) throw new Error(JSON.stringify(made));
  return made;
}

const ask = (form: Record<string, string>, headers: Record<string, string> = {}, url = house.url) => postForm(`${url}/oauth2/token`, { grant_type: 'client_credentials', ...form }, headers);
const basic = (id: string, secret: string): Record<string, string> => ({ authorization: `Basic ${btoa(`${id}:${secret}`)}` });
const tokenOf = async ({ id, clientSecret }: Client, scope?: string): Promise<Tokens> => (await ask({ client_id: id, client_secret: clientSecret, ...(scope !== undefined && { scope }) })).body as Tokens;
const probe = (accessToken: string, url = house.url) => call(accessToken, 'POST', `${url}/probe/count`, {});

describe('the client_credentials grant', () => {
  it('gives a system a token without a refresh token, by Basic or by form', async () => {
    const made = await client();
    for (const answer of [await ask({}, basic(made.id, made.clientSecret)), await ask({ client_id: made.id, client_secret: made.clientSecret })]) {
      expect(answer.status).toBe(200);
      expect(answer.headers.get('cache-control')).toBe('no-store');
      expect(Object.keys(answer.body as object).sort()).toEqual(['access_token', 'expires_in', 'scope', 'token_type']);
      const tokens = answer.body as Tokens;
      expect(tokens.scope).toBe('images:read results:read images:write');
      expect(decodeJwt(tokens.access_token)).toMatchObject({ sub: made.id, client_id: made.id, role: 'service', institution_id: house.administrator.institutionId, aud: 'healthvision' });
      expect((await probe(tokens.access_token)).status).toBe(202);
      expect((await call(tokens.access_token, 'GET', `${house.url}/api/v1/users`)).status).toBe(403);
      // Nobody in particular.
      expect((await call(tokens.access_token, 'GET', `${house.url}/api/v1/users/me`)).status).toBe(403);
    }
  });

  it('narrows the scope, to permissions and to SMART scopes', async () => {
    const made = await client();
    const narrowed = await tokenOf(made, 'images:read');
    expect(narrowed.scope).toBe('images:read');
    expect((await probe(narrowed.access_token)).status).toBe(403);
    const smart = await tokenOf(made, 'system/ImagingStudy.rs system/*.read system/ImagingStudy.rs');
    expect(smart.scope).toBe('system/ImagingStudy.rs system/*.read');
    expect(decodeJwt(smart.access_token).scope).toBe(smart.scope);
    expect((await probe(smart.access_token)).status).toBe(403);
    for (const scope of ['system/Patient.read', 'system/Encounter.read', 'system/ImagingStudy.write', 'users:write', 'images:read world:rule']) {
      expect(await ask({ client_id: made.id, client_secret: made.clientSecret, scope }), scope).toMatchObject({ status: 400, body: { error: 'invalid_scope' } });
    }
  });

  it.each<[string, (made: Client) => [Record<string, string>, Record<string, string>?], number, string]>([
    ['no credential', () => [{}], 401, 'invalid_client'],
    ['an id alone', ({ id }) => [{ client_id: id }], 401, 'invalid_client'],
    ['a wrong secret', ({ id }) => [{ client_id: id, client_secret: 'hvs_wrong' }], 401, 'invalid_client'],
    ['an empty secret', ({ id }) => [{ client_id: id, client_secret: '' }], 401, 'invalid_client'],
    ['an unknown client', ({ clientSecret }) => [{ client_id: randomUUID(), client_secret: clientSecret }], 401, 'invalid_client'],
    ['an injection', ({ clientSecret }) => [{ client_id: "' OR 1=1; --", client_secret: clientSecret }], 401, 'invalid_client'],
    ['an injection by Basic', ({ clientSecret }) => [{}, basic('x%0d%0aX-Evil: 1', clientSecret)], 401, 'invalid_client'],
    ['a null character', ({ id }) => [{ client_id: `${id}\0`, client_secret: 'x\0' }], 401, 'invalid_client'],
    ['Basic that is none', () => [{}, { authorization: 'Basic ???' }], 401, 'invalid_client'],
    ['Basic that decodes to nothing', ({ id }) => [{}, basic(id, '%zz')], 401, 'invalid_client'],
    ['a bearer token', () => [{}, { authorization: `Bearer ${token}` }], 401, 'invalid_client'],
    ['two credentials', ({ id, clientSecret }) => [{ client_id: id, client_secret: clientSecret }, basic(id, clientSecret)], 400, 'invalid_request'],
    ['two names', ({ id, clientSecret }) => [{ client_id: randomUUID() }, basic(id, clientSecret)], 400, 'invalid_request'],
    ['an assertion of another type', () => [{ client_assertion: 'a.b.c', client_assertion_type: 'x' }], 401, 'invalid_client'],
    ['an assertion that is none', () => [{ client_assertion: 'a.b.c', client_assertion_type: TYPE }], 401, 'invalid_client'],
  ])('refuses %s', async (_, make, status, error) => {
    const [form, headers] = make(await client());
    const answer = await ask(form, headers);
    expect(answer).toMatchObject({ status, body: { error } });
    expect(answer.headers.get('x-evil')).toBeNull();
    expect(answer.headers.get('www-authenticate') !== null).toBe(status === 401);
  });

  it('answers in the form of OAuth even where the parser refuses the body', async () => {
    const endless = await postForm(`${house.url}/oauth2/token`, `grant_type=client_credentials&client_secret=${'x'.repeat(2 ** 20 + 1)}`);
    expect(endless).toMatchObject({ status: 400, body: { error: 'invalid_request' } });
    const xml = await fetch(`${house.url}/oauth2/token`, { method: 'POST', headers: { 'content-type': 'text/xml' }, body: '<a/>' });
    expect([xml.status, await xml.json()]).toMatchObject([400, { error: 'invalid_request' }]);
    const json = await fetch(`${house.url}/oauth2/revoke`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"a":' });
    expect([json.status, await json.json()]).toMatchObject([400, { error: 'invalid_request' }]);
  });

  it('takes a client from its addresses only, with its tokens, too', async () => {
    const made = await client({ addresses: ['10.0.0.0/8'] });
    expect(await ask({ client_id: made.id, client_secret: made.clientSecret })).toMatchObject({ status: 401, body: { error: 'invalid_client' } });
    const behind = await house.neighbour({ TRUST_PROXY: '127.0.0.1' });
    const form = { client_id: made.id, client_secret: made.clientSecret };
    expect((await ask(form, { 'x-forwarded-for': '192.0.2.1' }, behind.url)).status).toBe(401);
    const { access_token } = (await ask(form, { 'x-forwarded-for': '10.1.1.1' }, behind.url)).body as Tokens;
    expect((await call(access_token, 'POST', `${behind.url}/probe/count`, {}, { 'x-forwarded-for': '10.1.1.1' })).status).toBe(202);
    expect((await call(access_token, 'POST', `${behind.url}/probe/count`, {}, { 'x-forwarded-for': '192.0.2.1' })).status).toBe(401);
    // Where no proxy is trusted the header is only a claim.
    expect((await call(access_token, 'POST', `${house.url}/probe/count`, {}, { 'x-forwarded-for': '10.1.1.1' })).status).toBe(401);
  });

  it('is cut off with the client: disabled, narrowed, given a new secret, deleted; elsewhere within half a minute', async () => {
    const neighbour = await house.neighbour();
    const url = (id: string): string => `${house.url}/api/v1/oauth-clients/${id}`;
    const made = [await client(), await client(), await client(), await client()] as const;
    const tokens = await Promise.all(made.map(async (one) => (await tokenOf(one)).access_token));
    for (const one of tokens) for (const there of [house.url, neighbour.url]) expect((await probe(one, there)).status).toBe(202);
    await call(token, 'PATCH', url(made[0].id), { state: 'disabled' });
    await call(token, 'PATCH', url(made[1].id), { scopes: ['images:read'] });
    await call(token, 'POST', `${url(made[2].id)}/secret`);
    await call(token, 'DELETE', url(made[3].id));
    const expected = [401, 403, 401, 401];
    expect(await Promise.all(tokens.map(async (one) => (await probe(one)).status))).toEqual(expected);
    await eventually('the neighbour to refuse', async () => (await Promise.all(tokens.map(async (one) => (await probe(one, neighbour.url)).status))).join() === expected.join(), 30_000);
    expect(await ask({ client_id: made[0].id, client_secret: made[0].clientSecret })).toMatchObject({ status: 401 });
    // Enabled again it is welcome, with its old token, too.
    await call(token, 'PATCH', url(made[0].id), { state: 'active' });
    expect((await probe(String(tokens[0]))).status).toBe(202);
  });

  it('does not cross into another institution, nor become a person', async () => {
    const made = await client();
    const { access_token } = await tokenOf(made);
    expect((await call(access_token, 'POST', `${house.url}/probe/count`, {}, { 'x-institution-id': randomUUID(), 'x-access-reason': 'because I want to' })).status).toBe(403);
    expect(await postForm(`${house.url}/oauth2/token`, { grant_type: 'password', username: 'a', password: 'b', client_id: made.id, client_secret: made.clientSecret })).toMatchObject({ status: 401, body: { error: 'invalid_client' } });
  });

  it('refuses the clients of a suspended institution', async () => {
    const institution = randomUUID();
    await sql.query(`INSERT INTO institutions (id, name, state) VALUES ($1, 'Shut', 'suspended')`, [institution]);
    const made = await client();
    const neighbour = await house.neighbour();
    const { access_token } = await tokenOf(made);
    await sql.query('UPDATE oauth_clients SET institution_id = $2 WHERE id = $1', [made.id, institution]);
    expect(await ask({ client_id: made.id, client_secret: made.clientSecret }, {}, neighbour.url)).toMatchObject({ status: 401 });
    // The token says another institution than the client now belongs to.
    expect((await probe(access_token, neighbour.url)).status).toBe(401);
  });
});

describe('private_key_jwt', () => {
  let privateKey: CryptoKey;
  let publicJwk: JWK;
  let made: Client;

  beforeAll(async () => {
    const pair = await generateKeyPair('ES256', { extractable: true });
    privateKey = pair.privateKey;
    publicJwk = { ...(await exportJWK(pair.publicKey)), kid: 'one' };
    made = await client({ authentication: 'private_key_jwt', jwks: { keys: [publicJwk] } });
  });

  const seconds = (): number => Math.floor(Date.now() / 1000);
  const claims = (more: object = {}): JWTPayload => ({ iss: made.id, sub: made.id, aud: `${house.url}/oauth2/token`, jti: randomUUID(), iat: seconds(), exp: seconds() + 120, ...more });
  const assertion = (more: object = {}, header: object = {}, key: CryptoKey = privateKey) => new SignJWT(JSON.parse(JSON.stringify(claims(more))) as JWTPayload).setProtectedHeader({ alg: 'ES256', kid: 'one', ...header }).sign(key);
  const present = async (text: string | Promise<string>, form: Record<string, string> = {}, url = house.url) => ask({ client_assertion: await text, client_assertion_type: TYPE, ...form }, {}, url);

  it('signs a system in, with the token endpoint or the issuer as audience', async () => {
    expect((await present(assertion())).status).toBe(200);
    expect((await present(assertion({ aud: 'healthvision' }), { client_id: made.id, scope: 'system/DiagnosticReport.read' })).body).toMatchObject({ scope: 'system/DiagnosticReport.read' });
    expect((await present(assertion({ aud: ['healthvision'] }, { kid: undefined }))).status).toBe(200);
  });

  it('takes an assertion once, on all processes together', async () => {
    const neighbour = await house.neighbour();
    const text = await assertion({ aud: 'healthvision' });
    const answers = await Promise.all(Array.from({ length: 10 }, (_, index) => present(text, {}, index % 2 === 0 ? house.url : neighbour.url)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 401)).toHaveLength(9);
    // The same id of another client is another assertion.
    const other = await client({ authentication: 'private_key_jwt', jwks: { keys: [publicJwk] } });
    const { jti } = decodeJwt(text);
    expect((await present(assertion({ iss: other.id, sub: other.id, ...(jti !== undefined && { jti }) }))).status).toBe(200);
  });

  it.each<[string, () => Promise<string> | string]>([
    ['that expired', () => assertion({ exp: seconds() - 120 })],
    ['that never expires', () => assertion({ exp: undefined })],
    ['that lives for an hour', () => assertion({ exp: seconds() + 3_600 })],
    ['of the future', () => assertion({ iat: seconds() + 300, exp: seconds() + 340 })],
    ['that is not valid yet', () => assertion({ nbf: seconds() + 300 })],
    ['for another server', () => assertion({ aud: 'https://other.example/oauth2/token' })],
    ['for several servers', () => assertion({ aud: ['healthvision', 'https://other.example'] })],
    ['for nobody', () => assertion({ aud: undefined })],
    ['of another issuer', () => assertion({ iss: 'https://evil.example' })],
    ['about another client', async () => assertion({ iss: (await client()).id, sub: (await client()).id })],
    ['of an unknown client', () => { const id = randomUUID(); return assertion({ iss: id, sub: id }); }],
    ['of an injected client', () => assertion({ iss: "' OR 1=1 --", sub: "' OR 1=1 --" })],
    ['without an id', () => assertion({ jti: undefined })],
    ['with a null character for an id', () => assertion({ jti: 'a\0b' })],
    ['with an endless id', () => assertion({ jti: 'x'.repeat(300) })],
    ['by another key', async () => assertion({}, {}, (await generateKeyPair('ES256')).privateKey)],
    ['by a key of another name', () => assertion({}, { kid: 'two' })],
    ['that brings its own key', async () => { const pair = await generateKeyPair('ES256', { extractable: true }); return assertion({}, { kid: undefined, jwk: await exportJWK(pair.publicKey) }, pair.privateKey); }],
    ['with alg none', () => `${btoa(JSON.stringify({ alg: 'none' }))}.${Buffer.from(JSON.stringify(claims())).toString('base64url')}.`],
    ['keyed by the public key', () => {
      const text = `${Buffer.from(JSON.stringify({ alg: 'HS256', kid: 'one' })).toString('base64url')}.${Buffer.from(JSON.stringify(claims())).toString('base64url')}`;
      return `${text}.${createHmac('sha256', JSON.stringify(publicJwk)).update(text).digest('base64url')}`;
    }],
  ])('refuses an assertion %s', async (_, make) => {
    expect(await present(make())).toMatchObject({ status: 401, body: { error: 'invalid_client' } });
  });

  it('refuses an assertion beside another credential, or for another client_id', async () => {
    expect(await present(assertion(), { client_id: randomUUID() })).toMatchObject({ status: 401 });
    expect(await present(assertion(), { client_id: made.id, client_secret: 'hvs_x' })).toMatchObject({ status: 400, body: { error: 'invalid_request' } });
    // A client that signs has no secret that could be guessed.
    expect(await ask({ client_id: made.id, client_secret: '' })).toMatchObject({ status: 401 });
  });

  it('takes what was sent under another Host for somebody else’s', async () => {
    const neighbour = await house.neighbour({ PUBLIC_URL: 'https://hv.hospital.test' });
    expect((await present(assertion({ aud: `${neighbour.url}/oauth2/token` }), {}, neighbour.url)).status).toBe(401);
    expect((await present(assertion({ aud: 'https://hv.hospital.test/oauth2/token' }), {}, neighbour.url)).status).toBe(200);
  });

  it.each(['ES384', 'RS256', 'RS384', 'PS256', 'EdDSA'])('works with %s', async (alg) => {
    const pair = await generateKeyPair(alg, { extractable: true });
    const signing = await client({ authentication: 'private_key_jwt', jwks: { keys: [await exportJWK(pair.publicKey)] } });
    expect((await present(assertion({ iss: signing.id, sub: signing.id }, { alg, kid: undefined }, pair.privateKey))).status).toBe(200);
  });

  it('ends the tokens of a key that was taken away', async () => {
    const { access_token } = (await present(assertion())).body as Tokens;
    expect((await probe(access_token)).status).toBe(202);
    const next = await generateKeyPair('ES256', { extractable: true });
    await call(token, 'PATCH', `${house.url}/api/v1/oauth-clients/${made.id}`, { jwks: { keys: [await exportJWK(next.publicKey)] } });
    expect((await probe(access_token)).status).toBe(401);
    expect((await present(assertion())).status).toBe(401);
    expect((await present(assertion({}, { kid: undefined }, next.privateKey))).status).toBe(200);
  });

  it('reads no keys from inside of our own network, nor in clear', async () => {
    const documents = house.app.get(ClientDocuments);
    const codeOf = async (url: string): Promise<string> => documents.json(url).then(() => 'read', (error: unknown) => (error instanceof AppError ? error.code : String(error)));
    expect(await codeOf(`https://localhost:${new URL(house.url).port}/health`)).toBe('url-not-allowed');
    expect(await codeOf(`https://127.0.0.1:${new URL(house.url).port}/health`)).toBe('url-not-allowed');
    expect(await codeOf('http://archive.hospital.example/jwks.json')).toBe('url-not-allowed');
    // Nobody can say whose assertion it is while its keys cannot be read.
    const away = await client({ authentication: 'private_key_jwt', jwksUri: 'https://archive.invalid/jwks.json' });
    const answer = await present(assertion({ iss: away.id, sub: away.id }));
    expect(answer).toMatchObject({ status: 503, body: { error: 'temporarily_unavailable' } });
    expect(answer.headers.get('retry-after')).not.toBeNull();
  });
});

describe('what systems find', () => {
  it('says how they sign in', async () => {
    const { body } = await call(undefined, 'GET', `${house.url}/.well-known/openid-configuration`);
    expect(body.grant_types_supported).toEqual(['password', 'refresh_token', 'client_credentials']);
    expect(body.token_endpoint_auth_methods_supported).toEqual(['none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt', 'tls_client_auth']);
    expect(body.token_endpoint_auth_signing_alg_values_supported).toEqual(['ES256', 'ES384', 'RS256', 'RS384', 'PS256', 'EdDSA']);
    const smart = await call(undefined, 'GET', `${house.url}/fhir/.well-known/smart-configuration`);
    expect(smart.status).toBe(200);
    expect(smart.body).toMatchObject({ token_endpoint: `${house.url}/oauth2/token`, grant_types_supported: ['client_credentials'] });
    expect(smart.body.capabilities).toContain('client-confidential-asymmetric');
    expect(smart.body.scopes_supported).toEqual(expect.arrayContaining(['system/ImagingStudy.read', 'system/DiagnosticReport.rs', 'system/*.read']));
  });
});
