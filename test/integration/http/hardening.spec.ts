import { serveDocs } from '../../../src/web/docs.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { call, openHouse, postForm, signIn, type House } from '../users/house.js';
import { raw } from './raw-http.js';

let house: House;
let token: string;

beforeAll(async () => {
  house = await openHouse();
  token = (await signIn(house.url)).access_token;
});
afterAll(() => house.close());

const post = (body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`${house.url}/probe/count`, { method: 'POST', headers: { 'authorization': `Bearer ${token}`, 'content-type': 'application/json', ...headers }, body });

describe('what browsers are told', () => {
  it('lets nothing in, keeps nothing and names no software', async () => {
    for (const [path, status] of [['/probe/public', 200], ['/api/v1/users', 401], ['/nothing', 404]] as const) {
      const response = await fetch(`${house.url}${path}`);
      expect(response.status).toBe(status);
      expect(Object.fromEntries(response.headers)).toMatchObject({
        'content-security-policy': "default-src 'none';base-uri 'none';form-action 'self';frame-ancestors 'none'",
        'x-content-type-options': 'nosniff', 'x-frame-options': 'DENY', 'referrer-policy': 'no-referrer', 'cache-control': 'no-store',
        'permissions-policy': expect.stringContaining('camera=()') as string, 'cross-origin-resource-policy': 'same-origin', 'cross-origin-opener-policy': 'same-origin',
      });
      for (const name of ['server', 'x-powered-by', 'strict-transport-security', 'access-control-allow-origin']) expect(response.headers.get(name), name).toBeNull();
    }
  });

  it('leaves a handler its own Cache-Control', async () => {
    expect((await fetch(`${house.url}/.well-known/jwks.json`)).headers.get('cache-control')).toBe('public, max-age=300');
  });

  it('says that TLS is the only way when that is how it is reached', async () => {
    const { url } = await house.neighbour({ PUBLIC_URL: 'https://healthvision.hospital.test' });
    expect((await fetch(`${url}/probe/public`)).headers.get('strict-transport-security')).toBe('max-age=31536000; includeSubDomains');
  });
});

describe('pages of other origins', () => {
  it('read answers only when they are on the list', async () => {
    const { url } = await house.neighbour({ CORS_ORIGINS: 'https://viewer.hospital.test' });
    const ask = async (origin: string, method = 'GET'): Promise<Headers> => (await fetch(`${url}/probe/public`, { method, headers: { origin, ...(method === 'OPTIONS' && { 'access-control-request-method': 'DELETE' }) } })).headers;
    for (const method of ['GET', 'OPTIONS']) {
      const good = await ask('https://viewer.hospital.test', method);
      expect(good.get('access-control-allow-origin')).toBe('https://viewer.hospital.test');
      expect(good.get('access-control-allow-credentials')).toBe('true');
      expect(good.get('vary')).toContain('Origin');
      for (const origin of ['https://evil.test', 'https://viewer.hospital.test.evil.test', 'http://viewer.hospital.test', 'https://viewer.hospital.test:444', 'null', 'https://VIEWER.hospital.test.']) {
        const bad = await ask(origin, method);
        expect(bad.get('access-control-allow-origin'), origin).toBeNull();
        expect(bad.get('vary'), origin).toContain('Origin');
      }
    }
    expect((await ask('https://viewer.hospital.test')).get('access-control-expose-headers')).toContain('RateLimit-Remaining');
  });
});

describe('JSON', () => {
  it.each([
    ['arrays nested to the end of a megabyte', `{"a":${'['.repeat(1_048_000)}`],
    ['closed arrays nested half a million deep', `${'['.repeat(500_000)}${']'.repeat(500_000)}`],
    ['objects nested a hundred thousand deep', `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`],
    ['objects nested 65 deep', `${'{"a":'.repeat(65)}1${'}'.repeat(65)}`],
    ['a prototype', '{"a":1,"__proto__":{"isAdmin":true}}'],
    ['a prototype in disguise', '{"a":1,"\\u005f_proto__":{"isAdmin":true}}'],
    ['a prototype below', '{"a":[{"__proto__":null}]}'],
    ['a constructor’s prototype', '{"constructor":{"prototype":{"isAdmin":true}}}'],
    ['half a text', '{"a":"'],
    ['nothing', ''],
    ['bytes that are no UTF-8 outside of texts', Buffer.from([0x7b, 0xff, 0x7d])],
  ])('with %s is refused, quickly', async (_, body) => {
    const start = performance.now();
    const response = await post(body);
    expect(performance.now() - start).toBeLessThan(1_000);
    expect(response.status).toBe(400);
    expect(response.headers.get('content-type')).toContain('application/problem+json');
    expect(({} as Record<string, unknown>).isAdmin).toBeUndefined();
  });

  it('may be nested as deep as anybody writes it, and hold brackets in its texts', async () => {
    const nested = `${'{"a":'.repeat(60)}"${'['.repeat(1_000)}\\""${'}'.repeat(60)}`;
    const response = await post(nested);
    expect(response.status).toBe(202);
    expect(((await response.json()) as { body: unknown }).body).toEqual(JSON.parse(nested));
  });

  it('is read as UTF-8, with or without a mark at its beginning', async () => {
    expect(await (await post('\ufeff{"name":"Müller 李"}')).json()).toMatchObject({ body: { name: 'Müller 李' } });
  });

  it('may have a megabyte, a form 64 KiB', async () => {
    expect((await post(JSON.stringify({ a: 'x'.repeat(1_048_500) }))).status).toBe(202);
    expect((await post(JSON.stringify({ a: 'x'.repeat(1_048_600) }))).status).toBe(413);
    const { status, body } = await postForm(`${house.url}/oauth2/token`, { grant_type: 'password', username: 'x', password: 'x'.repeat(65_536) });
    expect([400, 413]).toContain(status);
    expect(body).toBeDefined();
  });

  it.each(['text/json', 'application/x-json', 'text/plain', 'application/xml', 'application/json5'])('is not taken as %s', async (type) => {
    expect((await post('{}', { 'content-type': type })).status).toBe(415);
  });
});

describe('requests that two readers could read differently', () => {
  const head = 'POST /probe/count HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n';
  it.each([
    ['two different lengths', `${head}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x`],
    ['the same length twice', `${head}Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}`],
    ['a length and chunks', `${head}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`],
    ['chunks that are not last', `${head}Transfer-Encoding: chunked, identity\r\n\r\n2\r\n{}\r\n0\r\n\r\n`],
    ['an encoding in disguise', `${head}Transfer-Encoding: xchunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`],
    ['a space before the colon', `${head}Transfer-Encoding : chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`],
    ['a folded field', `${head}X-A: b\r\n Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n{}`],
    ['a chunk size that is none', `${head}Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n`],
    ['a negative length', `${head}Content-Length: -2\r\n\r\n{}`],
    ['a length with a sign', `${head}Content-Length: +2\r\n\r\n{}`],
    ['line feeds alone', 'GET /probe/public HTTP/1.1\nHost: x\nConnection: close\n\n'],
    ['no Host', 'GET /probe/public HTTP/1.1\r\nConnection: close\r\n\r\n'],
    ['two Hosts', 'GET /probe/public HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n'],
    ['two credentials', 'GET /probe/public HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer a\r\nauthorization: Bearer b\r\nConnection: close\r\n\r\n'],
    ['a null in a field', 'GET /probe/public HTTP/1.1\r\nHost: a\r\nX-A: b\0c\r\nConnection: close\r\n\r\n'],
    ['a null in the URL', 'GET /probe/public?a=%00 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'],
    ['no version that we know', 'GET /probe/public HTTP/3.7\r\nHost: a\r\n\r\n'],
    ['a method that nobody knows', 'GETTHIS /probe/public HTTP/1.1\r\nHost: a\r\n\r\n'],
  ])('are refused: %s', async (_, text) => {
    const { status, text: all } = await raw(house.url, text);
    // One answer, and the end: nothing that came behind is taken for a request of its own.
    expect(all.match(/HTTP\/1\.1 \d/g)).toHaveLength(1);
    expect(status).toBe(400);
  });

  it.each([
    ['TRACE', 405], ['PROPFIND', 405], ['PURGE', 405], ['LINK', 405], ['M-SEARCH', 405],
  ])('the method %s is none of ours', async (method, status) => {
    const answer = await raw(house.url, `${method} /probe/public HTTP/1.1\r\nHost: a\r\nCookie: secret=1\r\nConnection: close\r\n\r\n`);
    expect([status, 404]).toContain(answer.status);
    expect(answer.text).not.toContain('secret=1');
  });

  it('a tunnel is not opened', async () => {
    const answer = await raw(house.url, 'CONNECT internal.test:443 HTTP/1.1\r\nHost: internal.test\r\n\r\n');
    expect(answer.text).not.toContain(' 200 ');
  });

  it('a whole URL is no path, and OPTIONS of everything is not answered', async () => {
    expect((await raw(house.url, 'GET http://internal.test/probe/public HTTP/1.1\r\nHost: internal.test\r\nConnection: close\r\n\r\n')).status).toBe(400);
    expect((await raw(house.url, 'OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')).status).toBe(400);
  });

  it.each([
    ['a URL of 13,000 characters', `GET /probe/public?a=${'x'.repeat(13_000)} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`, 414],
    ['fields of 20,000 bytes', `GET /probe/public HTTP/1.1\r\nHost: a\r\nX-A: ${'x'.repeat(20_000)}\r\nConnection: close\r\n\r\n`, 431],
    ['two hundred fields', `GET /probe/public HTTP/1.1\r\nHost: a\r\n${'X-A: b\r\n'.repeat(200)}Connection: close\r\n\r\n`, 431],
  ])('%s are too much', async (_, text, status) => {
    expect((await raw(house.url, text)).status).toBe(status);
  });
});

describe('the documentation behind the login', () => {
  it('has no way around it', async () => {
    const { url } = await house.neighbour({ DOCS_PUBLIC: 'false' }, (app, config) => { serveDocs(app, config); });
    for (const path of ['/docs', '/%64ocs', '/docs/', '/docs/swagger-ui.css', '/docs/%73wagger-ui-init.js', '/openapi.json', '/openapi%2ejson', '/openapi.yaml', '/DOCS', '//docs', '/./docs', '/x/../docs']) {
      const { status } = await raw(url, `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
      expect([401, 404], path).toContain(status);
    }
    expect((await call<unknown>(token, 'GET', `${url}/openapi.json`)).status).toBe(200);
  });
});

describe('what is echoed', () => {
  it.each(['a\tb c', 'short', 'x'.repeat(65), 'abcdefgh"><script>', 'abcdefgh%0d%0aX-Injected: 1', 'abcdefghé'])('a request id such as %j is replaced', async (id) => {
    const { headers, text } = await raw(house.url, `GET /probe/public HTTP/1.1\r\nHost: a\r\nX-Request-Id: ${id}\r\nConnection: close\r\n\r\n`);
    expect(headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
    expect(text).not.toContain('X-Injected');
  });

  it('a line break in a path, a query or a token makes no header', async () => {
    for (const path of ['/%0d%0aX-Injected:%201', '/probe/public?a=%0d%0aX-Injected:%201', '/api/v1/users/%0d%0aX-Injected:%201']) {
      const response = await call(token, 'GET', `${house.url}${path}`).catch(() => undefined);
      expect(response?.status ?? 400).toBeLessThan(500);
      expect(response?.headers.get('x-injected') ?? null).toBeNull();
    }
  });
});
