import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer as createPlain, type RequestListener, type Server } from 'node:http';
import { createServer as createEncrypted } from 'node:https';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from 'vitest';
import { Authority, opensslIsInstalled } from '../../support/certificates.js';
import { ROOT } from '../../support/product.js';

const servers: Server[] = [];
afterEach(() => { for (const server of servers.splice(0)) server.close(); });

/** A server that is healthy, or answers with `status`. @returns its port */
async function healthy(server: (listener: RequestListener) => Server, status = 200): Promise<string> {
  const listening = server(({ url }, response) => { response.writeHead(url === '/health' ? status : 404).end(); });
  servers.push(listening.listen(0, '127.0.0.1'));
  await once(listening, 'listening');
  const address = listening.address();
  return String(typeof address === 'object' && address !== null ? address.port : 0);
}

async function check(env: Record<string, string>): Promise<{ status: number; said: string }> {
  const child = spawn(process.execPath, [join(ROOT, 'docker', 'healthcheck.mjs')], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  const [said, [status]] = await Promise.all([text(child.stderr), once(child, 'exit')]) as [string, [number]]; // it ends by itself
  return { status, said: said.trim() };
}

describe('the health check of the image', () => {
  it('asks where the product listens', async () => {
    const PORT = await healthy((listener) => createPlain(listener));
    expect(await check({ PORT })).toEqual({ status: 0, said: '' });
    expect(await check({ PORT, HOST: '127.0.0.1', TLS_CERT_FILE: '' })).toEqual({ status: 0, said: '' });
  });

  it('says what is wrong', async () => {
    expect(await check({ PORT: await healthy((listener) => createPlain(listener), 503) })).toEqual({ status: 1, said: '/health answered 503' });
    expect(await check({ PORT: '1' })).toEqual({ status: 1, said: 'connect ECONNREFUSED 127.0.0.1:1' });
  });

  it.skipIf(!opensslIsInstalled())('speaks TLS where the product does, whatever host the certificate names', async () => {
    const { cert, key } = new Authority().sign('hospital.example', 'DNS:hospital.example');
    const PORT = await healthy((listener) => createEncrypted({ cert: readFileSync(cert), key: readFileSync(key), minVersion: 'TLSv1.3' }, listener));
    expect(await check({ PORT, TLS_CERT_FILE: cert })).toEqual({ status: 0, said: '' });
    expect((await check({ PORT })).status).toBe(1);
  });
});
