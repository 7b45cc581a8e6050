import Fastify, { type FastifyInstance } from 'fastify';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Readable } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { cutOffSilentClients } from '../../../src/platform/http/connection-patience.js';
import { readFileSync } from 'node:fs';
import { Authority, opensslIsInstalled } from '../../support/certificates.js';

const SILENCE_MS = 600;
const PIECE = Buffer.alloc(64 * 1024, 'x');

let fastify: FastifyInstance | undefined;
let sockets: Socket[] = [];

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets = [];
  await fastify?.close();
});

async function serve(https?: { key: string; cert: string }): Promise<number> {
  const options = { connectionTimeout: SILENCE_MS, forceCloseConnections: true };
  fastify = https ? Fastify({ ...options, https }) : Fastify(options);
  cutOffSilentClients(fastify, SILENCE_MS);
  fastify.get('/late', async () => {
    await sleep(4 * SILENCE_MS);
    return 'at last';
  });
  fastify.get('/pauses', (_request, reply) => reply.send(Readable.from((async function* () {
    yield 'first ';
    await sleep(3 * SILENCE_MS);
    yield 'second';
  })(), { objectMode: false })));
  fastify.get('/large', (_request, reply) => reply.send(Readable.from((function* () { for (let index = 0; index < 320; index++) yield PIECE; })(), { objectMode: false })));
  fastify.get('/whole', (_request, reply) => reply.send(Buffer.alloc(20 * 1024 * 1024, 'x')));
  fastify.post('/take', (_request, reply) => reply.send('taken'));
  await fastify.listen({ port: 0, host: '127.0.0.1' });
  const address = fastify.server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** Reads so many bytes, then rests, over and over. */
async function slowly(socket: Socket, path: string, atOnce: number, restMs: number): Promise<{ bytes: number; ms: number }> {
  const begun = performance.now();
  let bytes = 0;
  const ended = new Promise<void>((resolve) => { socket.once('close', resolve).once('end', resolve).on('error', () => undefined); });
  socket.on('data', (chunk: Buffer) => {
    const before = bytes;
    bytes += chunk.length;
    if (Math.floor(before / atOnce) === Math.floor(bytes / atOnce)) return;
    socket.pause();
    setTimeout(() => { socket.resume(); }, restMs);
  });
  socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
  await ended;
  return { bytes, ms: performance.now() - begun };
}

const open = (port: number): Socket => {
  const socket = connect({ port, host: '127.0.0.1' });
  sockets.push(socket);
  return socket;
};
const openTls = (port: number): Socket => {
  const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false });
  sockets.push(socket);
  return socket;
};
function pem(): { cert: string; key: string } {
  const { cert, key } = new Authority().sign('localhost');
  return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') };
}
const closed = (socket: Socket): Promise<number> => {
  const begun = performance.now();
  return new Promise((resolve) => { socket.on('error', () => undefined).once('close', () => { resolve(performance.now() - begun); }); });
};

describe('a connection', () => {
  it.each(['/large', '/whole'])('lives as long as the answer flows, however slowly: %s', async (path) => {
    const { bytes, ms } = await slowly(open(await serve()), path, 2 * 1024 * 1024, SILENCE_MS / 3);
    expect(ms).toBeGreaterThan(2 * SILENCE_MS);
    expect(bytes).toBeGreaterThan(20 * 1024 * 1024);
  });

  it.runIf(opensslIsInstalled())('does so over TLS, too', async () => {
    const socket = openTls(await serve(pem()));
    const { bytes, ms } = await slowly(socket, '/whole', 2 * 1024 * 1024, SILENCE_MS / 3);
    expect(ms).toBeGreaterThan(2 * SILENCE_MS);
    expect(bytes).toBeGreaterThan(20 * 1024 * 1024);
  });

  it.each([['/late', 'at last'], ['/pauses', 'first second']])('waits with the client while we are silent: %s', async (path, text) => {
    const port = await serve();
    expect(await (await fetch(`http://127.0.0.1:${String(port)}${path}`)).text()).toBe(text);
  });

  it.each(opensslIsInstalled() ? [['plain', false], ['TLS', true]] as const : [['plain', false]] as const)('is cut when the client takes nothing of what it asked for: %s', async (_, encrypted) => {
    const port = await serve(encrypted ? pem() : undefined);
    const socket = encrypted ? openTls(port) : open(port);
    socket.pause();
    socket.write('GET /whole HTTP/1.1\r\nHost: x\r\n\r\n');
    await sleep(5 * SILENCE_MS);
    let bytes = 0;
    socket.on('data', (chunk: Buffer) => { bytes += chunk.length; }).resume();
    await closed(socket);
    expect(bytes).toBeLessThan(20 * 1024 * 1024);
  });

  it('is cut when the client does not send what it announced, or says nothing at all', async () => {
    const port = await serve();
    const announced = open(port);
    announced.write('POST /take HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{');
    const mute = open(port);
    expect(await Promise.all([closed(announced), closed(mute)]).then((times) => Math.max(...times))).toBeLessThan(5 * SILENCE_MS);
  });
});
