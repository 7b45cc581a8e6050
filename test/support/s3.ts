import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import S3rver from 's3rver';
import type { S3Settings } from '../../src/platform/storage/s3-client.js';
import { temporaryDirectory } from './product.js';
import { freePort } from './redis.js';

export interface S3Server {
  /** Without a slash at its end. */
  endpoint: string;
  stop(): Promise<void>;
}

/** Files in PEM. */
export interface Certificates {
  caFile: string;
  certFile: string;
  keyFile: string;
}

/** The keys that s3rver accepts; moto takes any. */
const ACCOUNT = 'S3RVER';

/** Settings of a client for a server of the tests. */
export function settingsFor(endpoint: string, caFile?: string): S3Settings {
  return { S3_ENDPOINT: endpoint, S3_REGION: 'us-east-1', S3_ACCESS_KEY_ID: ACCOUNT, S3_SECRET_ACCESS_KEY: ACCOUNT, S3_CA_FILE: caFile };
}

/** npm s3rver, in this process. */
export async function startS3rver(tls?: Certificates): Promise<S3Server> {
  const directory = temporaryDirectory();
  const server = new S3rver({ address: '127.0.0.1', port: 0, silent: true, directory, ...(tls && { cert: readFileSync(tls.certFile), key: readFileSync(tls.keyFile) }) });
  const { port } = await server.run();
  return {
    endpoint: `${tls ? 'https' : 'http'}://127.0.0.1:${String(port)}`,
    stop: async () => {
      await server.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** True, or false with a loud line, when PyPI's moto is not installed. */
export function motoIsInstalled(): boolean {
  const there = spawnSync('moto_server', ['--help'], { stdio: 'ignore' }).status === 0;
  if (!there) console.warn('SKIPPED: moto_server is not installed (pip install "moto[server]"); S3 is tested with s3rver only');
  return there;
}

/** PyPI moto, in a process of its own. */
export async function startMoto(tls?: Certificates): Promise<S3Server> {
  const port = await freePort();
  const child = spawn('moto_server', ['-H', '127.0.0.1', '-p', String(port), ...(tls ? ['-s', '-c', tls.certFile, '-k', tls.keyFile] : [])], { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = once(child, 'exit');
  await new Promise<void>((resolve, reject) => {
    let output = '';
    child.stderr.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      if (output.includes('Running on')) resolve();
    });
    void ended.then(() => { reject(new Error(`moto_server ended: ${output}`)); });
  });
  return {
    endpoint: `${tls ? 'https' : 'http'}://127.0.0.1:${String(port)}`,
    stop: async () => {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

/** A certificate for 127.0.0.1 by an authority of its own; undefined, with a loud line, without openssl. */
export function makeCertificates(): Certificates | undefined {
  const folder = temporaryDirectory();
  const path = (name: string): string => join(folder, name);
  const openssl = (...args: string[]): boolean => spawnSync('openssl', args, { stdio: 'ignore' }).status === 0;
  writeFileSync(path('san.cnf'), 'subjectAltName=IP:127.0.0.1\n');
  const made =
    openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=Hospital Authority', '-keyout', path('ca.key'), '-out', path('ca.pem')) &&
    openssl('req', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=storage', '-keyout', path('server.key'), '-out', path('server.csr')) &&
    openssl('x509', '-req', '-days', '2', '-in', path('server.csr'), '-CA', path('ca.pem'), '-CAkey', path('ca.key'), '-CAcreateserial', '-extfile', path('san.cnf'), '-out', path('server.pem'));
  if (made) return { caFile: path('ca.pem'), certFile: path('server.pem'), keyFile: path('server.key') };
  console.warn('SKIPPED: openssl is not installed; S3 behind an authority of its own is not tested');
  return undefined;
}

/** One request that came through `startS3Proxy`, its body whole. */
export interface ProxiedRequest {
  method: string;
  /** Path and query. */
  url: string;
  headers: Record<string, string | string[] | undefined>;
  body: Buffer;
}

/** What becomes of a request: sent on, also after a while, answered in the server's stead, cut off before the answer, its answer cut off after so many bytes of the body, or a byte of its answer turned round. */
export type Verdict = 'pass' | { afterMs: number } | { status: number; code: string } | { url: string } | 'cut' | { cutAnswerAfter: number } | 'corrupt';

export interface S3Proxy extends S3Server {
  requests: ProxiedRequest[];
  /** Replaces what decides; by default everything passes. */
  judge(rule: (request: ProxiedRequest) => Verdict): void;
}

/** Stands between a client and a server: it looks, breaks and refuses. */
export async function startS3Proxy(target: string): Promise<S3Proxy> {
  const requests: ProxiedRequest[] = [];
  let rule: (request: ProxiedRequest) => Verdict = () => 'pass';
  const handle = async (incoming: IncomingMessage, answer: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const seen: ProxiedRequest = { method: incoming.method ?? '', url: incoming.url ?? '', headers: incoming.headers, body: Buffer.concat(chunks) };
    requests.push(seen);
    const verdict = rule(seen);
    if (verdict === 'cut') {
      answer.destroy();
      return;
    }
    if (typeof verdict === 'object' && 'status' in verdict) {
      answer.writeHead(verdict.status, { 'Content-Type': 'application/xml' }).end(`<?xml version="1.0"?><Error><Code>${verdict.code}</Code><Message>said the test</Message></Error>`);
      return;
    }
    if (typeof verdict === 'object' && 'afterMs' in verdict) await new Promise((resolve) => setTimeout(resolve, verdict.afterMs));
    const url = typeof verdict === 'object' && 'url' in verdict ? verdict.url : seen.url;
    const outgoing = request(`${target}${url}`, { method: seen.method, headers: incoming.headers });
    outgoing.end(seen.body);
    // The first argument of the event.
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
    const cutAfter = typeof verdict === 'object' && 'cutAnswerAfter' in verdict ? verdict.cutAnswerAfter : Infinity;
    answer.writeHead(response.statusCode ?? 500, response.headers);
    let sent = 0;
    for await (const chunk of response) {
      const bytes = (chunk as Buffer).subarray(0, cutAfter - sent);
      if (verdict === 'corrupt') bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 0x55;
      answer.write(bytes);
      sent += bytes.length;
      if (sent < cutAfter) continue;
      // What was written has to leave before the end comes.
      await new Promise((resolve) => setTimeout(resolve, 20));
      answer.destroy();
      return;
    }
    answer.end();
  };
  const server = createServer((incoming, answer) => { handle(incoming, answer).catch(() => { answer.destroy(); }); }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  // A TCP server has an address of this kind.
  const { port } = server.address() as AddressInfo;
  return {
    endpoint: `http://127.0.0.1:${String(port)}`,
    requests,
    judge: (next) => { rule = next; },
    stop: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Asks a server of the tests something by hand, without a signature. */
export async function askS3(endpoint: string, path: string): Promise<string> {
  const outgoing = request(`${endpoint}${path}`).end();
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  return text(response);
}
