import { spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { Agent, fetch as undiciFetch } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeCertificates } from '../../support/s3.js';
import { call, openHouse, signIn, type House } from './house.js';

const certificates = makeCertificates();

describe.skipIf(!certificates)('a client certificate', () => {
  let house: House;
  let server: Server;
  let url: string;
  let token: string;
  let known: Agent;
  let unknown: Agent;
  let rogue: Agent;
  let fingerprint: string;
  let clientId: string;

  beforeAll(async () => {
    // skipIf has seen to it.
    const { caFile, certFile, keyFile } = certificates as NonNullable<typeof certificates>;
    const ca = readFileSync(caFile);
    const agentOf = (cert: string, key: string): Agent => new Agent({ connect: { ca, cert: readFileSync(cert), key: readFileSync(key) } });
    const one = issue('pacs', caFile);
    known = agentOf(one.cert, one.key);
    const two = issue('other', caFile);
    unknown = agentOf(two.cert, two.key);
    const self = issue('rogue');
    rogue = agentOf(self.cert, self.key);
    fingerprint = new X509Certificate(readFileSync(one.cert)).fingerprint256;
    house = await openHouse();
    token = (await signIn(house.url)).access_token;
    const fastify: FastifyInstance = house.app.getHttpAdapter().getInstance();
    server = createServer({ cert: readFileSync(certFile), key: readFileSync(keyFile), ca, requestCert: true, rejectUnauthorized: false }, (request, response) => { fastify.routing(request, response); });
    await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
    url = `https://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
    const register = (certificateSha256: string) => call<{ id: string }>(token, 'POST', `${house.url}/api/v1/oauth-clients`, { name: 'PACS', scopes: ['images:write'], authentication: 'tls_client_auth', certificateSha256 });
    clientId = (await register(fingerprint)).body.id;
    await register(new X509Certificate(readFileSync(self.cert)).fingerprint256);
  });
  afterAll(async () => {
    await Promise.all([known, unknown, rogue].map((agent) => agent.close()));
    server.close();
    server.closeAllConnections();
    await house.close();
  });

  const ask = async (agent: Agent, path: string, headers: Record<string, string> = {}, form?: Record<string, string>): Promise<{ status: number; body: Record<string, unknown> }> => {
    const response = await undiciFetch(`${url}${path}`, { dispatcher: agent, method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: '{}', ...(form && { body: new URLSearchParams(form).toString(), headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers } }) });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };

  it('is a system’s authentication, without a header', async () => {
    expect(await ask(known, '/probe/count')).toMatchObject({ status: 202 });
    expect(await ask(known, '/api/v1/users')).toMatchObject({ status: 403 });
  });

  it('of nobody, or that nobody vouches for, is none', async () => {
    expect(await ask(unknown, '/probe/count')).toMatchObject({ status: 401 });
    // It is registered, but the authority does not vouch for it.
    expect(await ask(rogue, '/probe/count')).toMatchObject({ status: 401 });
    // What a header says of a certificate counts for nothing.
    expect(await ask(unknown, '/probe/count', { 'x-client-cert': fingerprint, 'x-ssl-client-fingerprint': fingerprint })).toMatchObject({ status: 401 });
  });

  it('gives way to a token that comes with it', async () => {
    expect(await ask(known, '/probe/count', { authorization: `Bearer ${token}` })).toMatchObject({ status: 202 });
    expect(await ask(known, '/probe/count', { authorization: 'Bearer broken' })).toMatchObject({ status: 401 });
    expect(await ask(known, '/probe/count', { 'x-api-key': 'hv_broken' })).toMatchObject({ status: 401 });
  });

  it('gets a token at the token endpoint for the client that it belongs to', async () => {
    const form = { grant_type: 'client_credentials', client_id: clientId };
    const { status, body } = await ask(known, '/oauth2/token', {}, form);
    expect({ status, body }).toMatchObject({ status: 200, body: { scope: 'images:write' } });
    expect((await call(String(body.access_token), 'POST', `${house.url}/probe/count`, {})).status).toBe(202);
    for (const agent of [unknown, rogue]) expect(await ask(agent, '/oauth2/token', {}, form)).toMatchObject({ status: 401, body: { error: 'invalid_client' } });
  });

  it('opens nothing once its client is disabled', async () => {
    await call(token, 'PATCH', `${house.url}/api/v1/oauth-clients/${clientId}`, { state: 'disabled' });
    expect(await ask(known, '/probe/count')).toMatchObject({ status: 401 });
    expect(await ask(known, '/oauth2/token', {}, { grant_type: 'client_credentials', client_id: clientId })).toMatchObject({ status: 401 });
  });
});

/** A certificate by an authority of the tests, or by itself. */
function issue(name: string, caFile?: string): { cert: string; key: string } {
  const folder = dirname(certificates?.caFile ?? '');
  const path = (file: string): string => join(folder, file);
  const openssl = (...args: string[]): void => {
    if (spawnSync('openssl', args, { stdio: 'ignore' }).status !== 0) throw new Error(`openssl ${args.join(' ')}`);
  };
  if (caFile === undefined) openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', `/CN=${name}`, '-keyout', path(`${name}.key`), '-out', path(`${name}.pem`));
  else {
    openssl('req', '-newkey', 'rsa:2048', '-nodes', '-subj', `/CN=${name}`, '-keyout', path(`${name}.key`), '-out', path(`${name}.csr`));
    openssl('x509', '-req', '-days', '2', '-in', path(`${name}.csr`), '-CA', caFile, '-CAkey', path('ca.key'), '-CAcreateserial', '-out', path(`${name}.pem`));
  }
  return { cert: path(`${name}.pem`), key: path(`${name}.key`) };
}
