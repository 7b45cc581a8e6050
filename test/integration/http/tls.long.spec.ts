import { X509Certificate } from 'node:crypto';
import { copyFileSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:https';
import { connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import { connect, type ConnectionOptions, type PeerCertificate, type TLSSocket } from 'node:tls';
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ConfigurationError } from '../../../src/platform/config.js';
import { Authority, opensslIsInstalled, type Certificate } from '../../support/certificates.js';
import { valueOf } from '../../support/metrics.js';
import { temporaryFile } from '../../support/product.js';
import { openHouse, type House } from '../users/house.js';

describe.skipIf(!opensslIsInstalled())('the server over TLS', () => {
  let house: House;
  let authority: Authority;
  let own: Certificate;
  let url: string;

  beforeAll(async () => {
    authority = new Authority();
    const first = authority.sign('first');
    own = { cert: join(authority.folder, 'server.pem'), key: join(authority.folder, 'server.key') };
    copyFileSync(first.cert, own.cert);
    copyFileSync(first.key, own.key);
    house = await openHouse();
    // How a socket looks to the guard.
    const look = (app: { getHttpAdapter(): { getInstance(): unknown } }): void => {
      const fastify = app.getHttpAdapter().getInstance() as FastifyInstance;
      fastify.addHook('onRequest', async ({ raw }, reply) => {
        const socket = raw.socket as TLSSocket;
        // Without a certificate the object is empty, whatever its type says.
        const { subject: peer } = socket.getPeerCertificate() as Partial<PeerCertificate>;
        void reply.header('X-Peer', `${String(socket.authorized)} ${peer === undefined ? 'nobody' : String(peer.CN)} ${String(socket.getProtocol())}`);
      });
    };
    ({ url } = await house.neighbour({ TLS_CERT_FILE: own.cert, TLS_KEY_FILE: own.key, TLS_CLIENT_CA_FILE: authority.ca }, look));
  });

  afterAll(async () => {
    await house.close();
    rmSync(authority.folder, { recursive: true, force: true });
  });

  function get(path: string, client: { cert?: string; key?: string } = {}): Promise<{ status: number; headers: Record<string, unknown>; text: string }> {
    return new Promise((resolve, reject) => {
      request(`${url}${path}`, { ca: readFileSync(authority.ca), agent: false, ...(client.cert !== undefined && { cert: readFileSync(client.cert) }), ...(client.key !== undefined && { key: readFileSync(client.key) }) }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => { text += chunk; }).on('end', () => { resolve({ status: response.statusCode ?? 0, headers: response.headers, text }); });
      }).on('error', reject).end();
    });
  }

  const expiry = async (): Promise<number> => valueOf((await get('/metrics')).text, 'healthvision_tls_certificate_expiry_timestamp_seconds') ?? NaN;

  function handshake(options: ConnectionOptions = {}): Promise<{ protocol: string | null; subject: string }> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port: Number(new URL(url).port), ca: readFileSync(authority.ca), ...options }, () => {
        resolve({ protocol: socket.getProtocol(), subject: String(socket.getPeerCertificate().subject.CN) });
        socket.destroy();
      }).on('error', reject);
    });
  }

  it('says that it is, answers probes, and tells browsers to stay', async () => {
    expect(url).toMatch(/^https:/);
    for (const path of ['/health', '/ready', '/probe/public']) {
      const { status, headers } = await get(path);
      expect(status, path).toBe(200);
      expect(headers['strict-transport-security']).toContain('max-age=31536000');
    }
  });

  it('speaks TLS 1.3 and nothing older', async () => {
    expect((await handshake()).protocol).toBe('TLSv1.3');
    await expect(handshake({ maxVersion: 'TLSv1.2' })).rejects.toThrow(/protocol version/);
  });

  it('tells which client certificates its authority signed, and lets the others come without', async () => {
    const system = authority.sign('pacs.hospital.test');
    const foreign = new Authority('another').sign('pacs.hospital.test');
    expect((await get('/probe/public', system)).headers['x-peer']).toBe('true pacs.hospital.test TLSv1.3');
    expect((await get('/probe/public')).headers['x-peer']).toBe('false nobody TLSv1.3');
    expect((await get('/probe/public', foreign)).headers['x-peer']).toBe('false pacs.hospital.test TLSv1.3');
  });

  it('ends plain HTTP and noise at once, and goes on', async () => {
    for (const text of ['GET /health HTTP/1.1\r\nHost: a\r\n\r\n', '\0\0\0\0\0\0\0\0', 'hello\r\n']) {
      const answer = await new Promise<string>((resolve) => {
        let all = '';
        const socket = connectTcp(Number(new URL(url).port), '127.0.0.1', () => { socket.write(text); });
        socket.setEncoding('latin1').on('data', (chunk: string) => { all += chunk; }).on('error', () => undefined).on('close', () => { resolve(all); });
      });
      expect(answer).not.toContain('200');
    }
    expect((await get('/health')).status).toBe(200);
  });

  it('takes a certificate that was replaced without a restart, and keeps the old one while the new one does not fit', async () => {
    const before = await expiry();
    expect(before).toBe(Date.parse(new X509Certificate(readFileSync(own.cert)).validTo) / 1000);
    const next = authority.sign('second', undefined, 1);
    copyFileSync(next.cert, own.cert);
    // The key still belongs to the first.
    await new Promise((resolve) => setTimeout(resolve, 6_000));
    expect((await handshake()).subject).toBe('first');
    expect(await expiry()).toBe(before);
    copyFileSync(next.key, own.key);
    await expect.poll(async () => (await handshake()).subject, { timeout: 10_000, interval: 500 }).toBe('second');
    expect(await expiry()).toBe(Date.parse(new X509Certificate(readFileSync(own.cert)).validTo) / 1000);
    expect(await expiry()).toBeLessThan(before);
    const system = authority.sign('after.hospital.test');
    expect((await get('/probe/public', system)).headers['x-peer']).toBe('true after.hospital.test TLSv1.3');
  });

  it('does not start with files that cannot be used, and says why in a line', async () => {
    const good = authority.sign('good');
    const other = authority.sign('other');
    const noise = temporaryFile('noise.pem', Buffer.from('noise'));
    const truncated = temporaryFile('truncated.pem', Buffer.from(readFileSync(good.cert, 'utf8').slice(0, 200)));
    const lines: [Record<string, string>, RegExp][] = [
      [{ TLS_CERT_FILE: good.cert, TLS_KEY_FILE: other.key }, /^TLS_KEY_FILE: is not the key of the certificate/],
      [{ TLS_CERT_FILE: noise, TLS_KEY_FILE: good.key }, /^TLS_CERT_FILE: is no certificate/],
      [{ TLS_CERT_FILE: truncated, TLS_KEY_FILE: good.key }, /^TLS_CERT_FILE: is no certificate/],
      [{ TLS_CERT_FILE: good.cert, TLS_KEY_FILE: noise }, /^TLS_KEY_FILE: is no private key/],
      [{ TLS_CERT_FILE: good.cert, TLS_KEY_FILE: authority.encrypted(good.key) }, /^TLS_KEY_FILE: the key is encrypted/],
      [{ TLS_CERT_FILE: good.cert, TLS_KEY_FILE: good.key, TLS_CLIENT_CA_FILE: noise }, /^TLS_CLIENT_CA_FILE: is no certificate/],
      [{ TLS_CERT_FILE: authority.folder, TLS_KEY_FILE: good.key }, /^TLS_CERT_FILE: .* cannot be read/],
    ];
    for (const [settings, line] of lines) {
      const failure: unknown = await house.neighbour(settings).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(ConfigurationError);
      expect((failure as ConfigurationError).lines).toHaveLength(1);
      expect((failure as ConfigurationError).lines[0]).toMatch(line);
      expect((failure as ConfigurationError).lines[0]).not.toMatch(/\n/);
    }
  });
});
