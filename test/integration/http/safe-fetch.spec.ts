import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { createServer as createPlainServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AppError } from '../../../src/kernel/errors.js';
import { AllowedHosts } from '../../../src/platform/http/public-address.js';
import { allowedUrl, safeFetch, type SafeFetchOptions } from '../../../src/platform/http/safe-fetch.js';
import { Authority, opensslIsInstalled } from '../../support/certificates.js';

const failureOf = (asked: Promise<unknown>): Promise<string> => asked.then(() => 'none', (error: unknown) => (error instanceof AppError ? error.code : String(error)));

describe('a URL that a user gives', () => {
  it.each([
    'http://example.com/', 'ftp://example.com/', 'file:///etc/passwd', 'gopher://example.com/', 'data:text/plain,x', 'javascript:alert(1)', 'example.com', '', '//example.com', 'https://', 'https:///',
    'https://user@example.com/', 'https://user:secret@example.com/', 'https://:secret@example.com/',
    'https://127.0.0.1/', 'https://127.1/', 'https://2130706433/', 'https://0x7f000001/', 'https://0177.0.0.1/', 'https://0x7f.1/', 'https://0/', 'https://0.0.0.0/', 'https://１２７.0.0.1/', 'https://127.0.0.1./', 'https://①②⑦.0.0.1/',
    'https://[::1]/', 'https://[::]/', 'https://[::ffff:127.0.0.1]/', 'https://[::ffff:7f00:1]/', 'https://[0:0:0:0:0:ffff:10.0.0.1]/', 'https://[64:ff9b::7f00:1]/', 'https://[2002:7f00:1::]/', 'https://[fd00:ec2::254]/', 'https://[fe80::1]/',
    'https://10.0.0.1:8443/', 'https://169.254.169.254/latest/meta-data/', 'https://192.168.0.1/', 'https://172.16.0.1/', 'https://100.64.0.1/', 'https://224.0.0.1/',
  ])('is refused without a look at the network: %s', async (url) => {
    expect(await failureOf(safeFetch(url, { resolve: () => Promise.reject(new Error('asked')) }))).toBe('url-not-allowed');
  });

  it('may name any public host, without its fragment', () => {
    expect(allowedUrl('https://hooks.example.com:8443/a?b=c#d').href).toBe('https://hooks.example.com:8443/a?b=c');
    expect(allowedUrl('https://1.1.1.1/').hostname).toBe('1.1.1.1');
  });

  it.each([['127.0.0.1'], ['10.0.0.1'], ['::1'], ['::ffff:127.0.0.1'], ['fd00::1'], ['8.8.8.8', '127.0.0.1'], ['fe80::1%lo']])('is refused when its name means %s', async (...addresses) => {
    const resolve = (): Promise<{ address: string; family: number }[]> => Promise.resolve(addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })));
    expect(await failureOf(safeFetch('https://innocent.example.com/', { resolve }))).toBe('url-not-allowed');
  });

  it('is refused when it names this machine', async () => {
    expect(await failureOf(safeFetch('https://localhost/'))).toBe('url-not-allowed');
    // Some resolvers know no such name.
    expect(['url-not-allowed', 'remote-unavailable']).toContain(await failureOf(safeFetch('https://LOCALHOST./')));
  });

  it('is not asked when its name cannot be resolved', async () => {
    expect(await failureOf(safeFetch('https://nowhere.example.com/', { resolve: () => Promise.reject(Object.assign(new Error('no'), { code: 'ENOTFOUND' })) }))).toBe('remote-unavailable');
    expect(await failureOf(safeFetch('https://nowhere.example.com/', { resolve: () => Promise.resolve([]) }))).toBe('remote-unavailable');
  });
});

describe.skipIf(!opensslIsInstalled())('a server that is asked', () => {
  let authority: Authority;
  let server: Server;
  let asked = 0;
  let answer: (request: IncomingMessage, response: ServerResponse) => void = (_, response) => { response.end(); };

  beforeAll(async () => {
    authority = new Authority();
    const { cert, key } = authority.sign('hooks', 'DNS:hooks.hospital.test');
    server = createServer({ cert: readFileSync(cert), key: readFileSync(key) }, (request, response) => { asked += 1; answer(request, response); }).listen(0, '127.0.0.1');
    await once(server, 'listening');
  });

  afterAll(() => {
    server.closeAllConnections();
    server.close();
    rmSync(authority.folder, { recursive: true, force: true });
  });

  const port = (): number => (server.address() as AddressInfo).port;
  /** The test's server lies on this machine, which has to be allowed. */
  const ask = (options: SafeFetchOptions = {}, path = '/'): Promise<Response> => safeFetch(`https://hooks.hospital.test:${String(port())}${path}`, {
    allowed: new AllowedHosts(['127.0.0.0/8']), ca: readFileSync(authority.ca, 'utf8'), resolve: () => Promise.resolve([{ address: '127.0.0.1', family: 4 }]), ...options,
  });

  it('answers as it likes', async () => {
    answer = (request, response) => {
      let body = '';
      request.setEncoding('utf8').on('data', (chunk: string) => { body += chunk; }).on('end', () => { response.writeHead(418, { 'content-type': 'application/json', 'x-a': 'b' }).end(JSON.stringify({ method: request.method, body, header: request.headers['x-mine'] })); });
    };
    const response = await ask({ method: 'POST', body: 'hello', headers: { 'x-mine': 'yes' } });
    expect(response.status).toBe(418);
    expect(response.headers.get('x-a')).toBe('b');
    expect(await response.json()).toEqual({ method: 'POST', body: 'hello', header: 'yes' });
    answer = (_, reply) => { reply.writeHead(204).end(); };
    expect((await ask()).status).toBe(204);
  });

  it('is connected to at the address that was checked, though its name means another one by then', async () => {
    let questions = 0;
    const rebinding = (): Promise<{ address: string; family: number }[]> => {
      questions += 1;
      return Promise.resolve([{ address: questions === 1 ? '198.51.100.1' : '127.0.0.1', family: 4 }]);
    };
    const before = asked;
    // The first address is allowed and leads nowhere; the second one, which would answer, is never asked for.
    expect(await failureOf(ask({ allowed: new AllowedHosts(['198.51.100.1']), resolve: rebinding, timeoutMs: 1_000 }))).toBe('remote-unavailable');
    expect(questions).toBe(1);
    expect(asked).toBe(before);
  });

  it('does not lead us on', async () => {
    answer = (_, response) => { response.writeHead(302, { location: 'https://169.254.169.254/latest/meta-data/' }).end(); };
    const before = asked;
    const response = await ask();
    expect(response.status).toBe(302);
    expect(asked).toBe(before + 1);
  });

  it('has to show a certificate of its name', async () => {
    expect(await failureOf(safeFetch(`https://other.hospital.test:${String(port())}/`, { allowed: new AllowedHosts(['127.0.0.0/8']), ca: readFileSync(authority.ca, 'utf8'), resolve: () => Promise.resolve([{ address: '127.0.0.1', family: 4 }]) }))).toBe('remote-unavailable');
  });

  it.each<[string, (request: IncomingMessage, response: ServerResponse) => void]>([
    ['sends more than it may', (_, response) => { response.end('x'.repeat(2_000_000)); }],
    ['announces more than it may', (_, response) => { response.writeHead(200, { 'content-length': '5000000' }); response.write('x'); }],
    ['sends without end', (_, response) => { const timer = setInterval(() => { response.write('x'.repeat(100_000)); }, 1); response.on('close', () => { clearInterval(timer); }); }],
    ['sends a bomb', (_, response) => { response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(Buffer.alloc(50_000_000))); }],
    ['says nothing', () => undefined],
    ['trickles', (_, response) => { response.writeHead(200); const timer = setInterval(() => { response.write('x'); }, 50); response.on('close', () => { clearInterval(timer); }); }],
    ['trickles its head', (request) => { request.socket.write('HTTP/1.1 200 OK\r\n'); const timer = setInterval(() => { request.socket.write('X-A: b\r\n'); }, 50); request.socket.on('close', () => { clearInterval(timer); }); }],
    ['hangs up', (request) => { request.socket.destroy(); }],
    ['does not speak HTTP', (request) => { request.socket.end('SSH-2.0-OpenSSH_9\r\n'); }],
  ])('is given up when it %s', async (_, behaviour) => {
    answer = behaviour;
    const start = performance.now();
    expect(await failureOf(ask({ timeoutMs: 1_000 }))).toBe('remote-unavailable');
    expect(performance.now() - start).toBeLessThan(2_500);
  });

  it('may be one of our own without TLS, when the installation names it', async () => {
    const plain = createPlainServer((_, response) => { response.end('inside'); }).listen(0, '127.0.0.1');
    await once(plain, 'listening');
    const url = `http://127.0.0.1:${String((plain.address() as AddressInfo).port)}/`;
    expect(await (await safeFetch(url, { allowed: new AllowedHosts(['127.0.0.1']) })).text()).toBe('inside');
    expect(await (await safeFetch(url.replace('127.0.0.1', 'localhost'), { allowed: new AllowedHosts(['localhost']), resolve: () => Promise.resolve([{ address: '127.0.0.1', family: 4 }]) })).text()).toBe('inside');
    expect(await failureOf(safeFetch(url))).toBe('url-not-allowed');
    plain.close();
  });
});
