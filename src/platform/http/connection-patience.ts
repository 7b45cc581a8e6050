import type { FastifyInstance } from 'fastify';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** What a connection may be silent for, because of its client. */
export const SILENCE_MS = 120_000;

/** Of the server's silences in one answer; beyond, whatever hangs there is given up. */
const MOST_SILENCES = 15;

interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
  silences: number;
  /** What waited for the network when nothing seemed to move the last time. */
  waiting: number | undefined;
}

/**
 * Node.js cuts a connection on which nothing moved for the server's `connectionTimeout`, whoever it was that kept silent. A client that neither sends what it announced nor takes
 * what it asked for is cut off; one that waits for us, because an export or a verification takes long to make its next piece, is not. Data that flows, however slowly, is no silence:
 * Node.js sees it in what the network has yet to take of a write, but not below TLS, where a large write looks the same from its beginning to its end.
 */
export function cutOffSilentClients(fastify: FastifyInstance, silenceMs: number): void {
  const exchanges = new WeakMap<Socket, Exchange>();
  fastify.addHook('onRequest', (request, reply, done) => {
    exchanges.set(request.raw.socket, { request: request.raw, response: reply.raw, silences: 0, waiting: undefined });
    done();
  });
  // With a listener here the decision is ours.
  fastify.server.on('timeout', (socket: Socket) => {
    const exchange = exchanges.get(socket);
    if (exchange && (isFlowing(exchange, socket) || (isOurSilence(exchange, socket) && ++exchange.silences <= MOST_SILENCES))) socket.setTimeout(silenceMs);
    else socket.destroy();
  });
}

/** All was asked, not all is answered, and nothing that we have sent waits for the client to take it. */
function isOurSilence({ request, response }: Exchange, socket: Socket): boolean {
  return request.complete && !response.writableFinished && !response.destroyed && response.writableLength === 0 && socket.writableLength === 0;
}

/** Less waits below TLS than the last time; the first time nobody knows. */
function isFlowing(exchange: Exchange, socket: Socket): boolean {
  // The handle below TLS is Node's own affair (lib/_tls_wrap.js): where it is not as we know it, the connection is judged without.
  const waiting = (socket as unknown as { _handle?: { _parent?: { writeQueueSize?: unknown } } | null })._handle?._parent?.writeQueueSize;
  if (typeof waiting !== 'number' || waiting === 0) return false;
  const before = exchange.waiting;
  exchange.waiting = waiting;
  return before === undefined || waiting !== before;
}
