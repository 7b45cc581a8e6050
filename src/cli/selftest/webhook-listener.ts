import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import { connect, isIP, type AddressInfo } from 'node:net';
import { CommandError } from '../failure.js';

export interface HeardMessage {
  headers: IncomingHttpHeaders;
  body: string;
}

export interface WebhookListener {
  /** Where the installation is to send to. */
  url: string;
  /** Whether somebody named the address; else it is this machine's as seen from here. */
  isNamed: boolean;
  heard: readonly HeardMessage[];
  close(): Promise<void>;
}

const MOST_BYTES = 256 * 1024;
/** Receivers refuse what is older. @see Standard Webhooks, "Verifying webhook authenticity" */
const TOLERANCE_MS = 300_000;

/** Listens for messages at `host:port`, else at any port of the address that leads to the installation. @throws CommandError `usage` */
export async function openListener(base: string, listen: string | undefined): Promise<WebhookListener> {
  const heard: HeardMessage[] = [];
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    let size = 0;
    request.on('data', (piece: Buffer) => {
      size += piece.length;
      if (size > MOST_BYTES) request.destroy();
      else pieces.push(piece);
    });
    request.on('end', () => {
      if (request.method === 'POST') heard.push({ headers: request.headers, body: Buffer.concat(pieces).toString() });
      response.writeHead(request.method === 'POST' ? 204 : 405).end();
    });
  });
  const named = listen === undefined ? undefined : parseListen(listen);
  const host = named?.host ?? await ownAddress(base);
  const port = await listening(server, host, named?.port ?? 0);
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${String(port)}/selftest`, isNamed: named !== undefined, heard,
    close: () => new Promise((done) => { server.close(() => { done(); }); server.closeAllConnections(); }),
  };
}

export function parseListen(text: string): { host: string; port: number } {
  const [, bracketed, plain, digits = ''] = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]/]+)):(\d{1,5})$/.exec(text) ?? [];
  const [host, port] = [bracketed ?? plain, Number(digits)];
  if (host === undefined || port > 65_535) throw new CommandError('usage', `--webhook-listen ${text} is not of the form host:port`);
  return { host, port };
}

/** A host of this machine is listened at; behind a name or an address that is translated, every address of this machine is. */
async function listening(server: Server, host: string, port: number): Promise<number> {
  const at = (address: string | undefined): Promise<void> => new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, ...(address !== undefined && { host: address }) }, () => { server.off('error', reject); resolve(); });
  });
  if (isIP(host) === 0) await at(undefined);
  else await at(host).catch((error: unknown) => { if (error instanceof Error && 'code' in error && error.code === 'EADDRNOTAVAIL') return at(undefined); throw error; });
  // A TCP server has a port.
  return (server.address() as AddressInfo).port;
}

/** Of this machine, on the way to the installation. */
function ownAddress(base: string): Promise<string> {
  const { protocol, hostname, port } = new URL(base);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port), timeout: 10_000 });
    socket.once('connect', () => {
      resolve((socket.localAddress ?? '127.0.0.1').replace(/^::ffff:/, ''));
      socket.destroy();
    });
    socket.once('timeout', () => { socket.destroy(new CommandError('unreachable', `${base} does not answer`)); });
    socket.once('error', reject);
  });
}

/**
 * What is wrong with the signature of a message, as it follows "The message …"; undefined when it is the installation's.
 *
 * @param secret  `whsec_…`
 * @see Standard Webhooks, "Verifying webhook authenticity"
 */
export function signatureFault({ headers, body }: HeardMessage, secret: string, now = Date.now()): string | undefined {
  const [id, timestamp, given] = ['webhook-id', 'webhook-timestamp', 'webhook-signature'].map((name) => String(headers[name] ?? ''));
  const wanted = createHmac('sha256', Buffer.from(secret.replace(/^whsec_/, ''), 'base64')).update(`${id ?? ''}.${timestamp ?? ''}.${body}`).digest();
  const signatures = (given ?? '').split(' ').filter((one) => one.startsWith('v1,')).map((one) => Buffer.from(one.slice(3), 'base64'));
  if (!signatures.some((signature) => signature.length === wanted.length && timingSafeEqual(signature, wanted))) return 'is not signed with the secret of the webhook';
  const apartMs = Math.abs(Number(timestamp) * 1000 - now);
  return apartMs > TOLERANCE_MS ? `was sent ${String(Math.round(apartMs / 1000))} s from now: the clocks of here and there differ` : undefined;
}
