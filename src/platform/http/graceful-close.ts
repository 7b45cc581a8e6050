import type { FastifyInstance } from 'fastify';
import type { Socket } from 'node:net';
import type { Shutdown } from '../ops/shutdown.js';

/** How often connections that have become idle are looked for. */
const IDLE_CHECK_MS = 50;
/** For the first request of a connection that was just made. Browsers make some that they may never use. */
const FIRST_REQUEST_MS = 500;

/**
 * A process that is told to stop answers what it has begun. Clients that keep connections learn with the next answer that theirs ends, and take another
 * process; what hangs beyond `graceMs` is cut off. Streams of events are ended by those who write them.
 */
export function closeGracefully(fastify: FastifyInstance, shutdown: Shutdown, graceMs: number): void {
  const { server } = fastify;
  const open = new Set<Socket>();
  /** Those that have asked for nothing yet, which Node.js does not count as idle. By their address: below TLS it is another socket than the request's. */
  const silent = new Map<string, Socket>();
  server.on('connection', (socket: Socket) => {
    const address = addressOf(socket);
    open.add(socket);
    silent.set(address, socket);
    socket.once('close', () => {
      open.delete(socket);
      if (silent.get(address) === socket) silent.delete(address);
    });
  });
  fastify.addHook('onRequest', (request, _reply, done) => {
    silent.delete(addressOf(request.raw.socket));
    done();
  });
  fastify.addHook('onSend', (_request, reply, payload, done) => {
    // RFC 9112 §9.6
    if (shutdown.isUnderWay) void reply.header('Connection', 'close');
    done(null, payload);
  });
  fastify.addHook('preClose', (done) => {
    // Node.js keeps a connection whose answer began before, and would wait for its next request.
    const idle = setInterval(() => { server.closeIdleConnections(); }, IDLE_CHECK_MS);
    const timers = [setTimeout(() => { destroyAll(silent.values()); }, Math.min(FIRST_REQUEST_MS, graceMs)), setTimeout(() => { destroyAll(open); }, graceMs)];
    server.once('close', () => {
      clearInterval(idle);
      for (const timer of timers) clearTimeout(timer);
    });
    done();
  });
}

function addressOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress ?? ''} ${String(remotePort)}`;
}

function destroyAll(sockets: Iterable<Socket>): void {
  for (const socket of [...sockets]) socket.destroy();
}
