import type { ServerResponse } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { recordAnswer } from '../../../platform/audit/audit-trail.js';
import type { Chunks } from './multipart-body.js';

export interface Answer {
  status: number;
  headers: Record<string, string>;
  /** As it is made, or whole. */
  body: AsyncIterator<Chunks> | Uint8Array;
}

/**
 * Sends an answer; a body that is made on the way goes past the framework: pieces go to the socket as they are, the
 * next are made while these are written, and never more than these two wait. Until the first piece is there nothing is sent, so that what fails before it is answered
 * with its own status; later on a failure cuts the connection. A client that leaves ends the body early.
 *
 * @throws whatever the body throws
 */
export async function sendAnswer(request: FastifyRequest, reply: FastifyReply, { status, headers, body }: Answer): Promise<void> {
  if (body instanceof Uint8Array) {
    await reply.status(status).headers(headers).send(body);
    return;
  }
  try {
    // Asked for its first piece always: a generator that was never begun would not close on return what it holds.
    const first = await body.next();
    await recordAnswer(request, status);
    const { raw } = reply;
    reply.hijack();
    for (const [name, value] of Object.entries(reply.getHeaders())) if (value !== undefined) raw.setHeader(name, value);
    raw.writeHead(status, headers);
    if (request.method !== 'HEAD') await pump(raw, body, first);
    raw.end();
  } finally {
    await body.return?.();
  }
}

async function pump(raw: ServerResponse, body: AsyncIterator<Chunks>, first: IteratorResult<Chunks>): Promise<void> {
  for (let step = first; step.done !== true;) {
    const next = body.next();
    // Looked at in the next round; a failure meanwhile is not lost.
    next.catch(() => undefined);
    if (!(await written(raw, step.value))) return;
    step = await next;
  }
}

/** @returns false when the client is gone */
function written(raw: ServerResponse, chunks: Chunks): boolean | Promise<boolean> {
  if (raw.destroyed) return false;
  raw.cork();
  for (const chunk of chunks) raw.write(chunk);
  raw.uncork();
  return raw.writableNeedDrain ? drained(raw) : true;
}

function drained(raw: ServerResponse): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = (isThere: boolean): void => {
      raw.off('drain', drain).off('close', close);
      resolve(isThere);
    };
    const drain = (): void => settle(true);
    const close = (): void => settle(false);
    raw.on('drain', drain).on('close', close);
  });
}
