import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { IncomingMessage } from 'node:http';
import { AppError } from '../../kernel/errors.js';
import { isDeeperThan } from './json-depth.js';

export const JSON_LIMIT_BYTES = 1024 * 1024;
/** Tokens and passwords; the longest is a signed assertion. */
const FORM_LIMIT_BYTES = 64 * 1024;
const JSON_DEPTH = 64;
/** Of the target in the request line. QIDO-RS takes lists of UIDs, so it is generous. */
export const URL_LIMIT = 12 * 1024;
const HEADER_LIMIT = 100;
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];
/** Said twice, two readers of the request may each believe another one. RFC 9112 §3.2, §6.3 */
const SAID_ONCE = new Set(['host', 'content-type', 'content-length', 'transfer-encoding', 'authorization', 'x-api-key', 'x-csrf-token', 'if-match', 'idempotency-key']);
/** Bodies that their handlers read as they come; those have an idle limit instead. */
const STREAMED = /^(multipart\/|application\/(dicom|offset\+octet-stream|octet-stream)\b)/i;
/** An answered request whose rest comes slower than this per time limit is cut off. */
const LEAST_REST_BYTES = 1024 * 1024;

/** Refuses what no honest client sends, before anything else looks at the request. */
export function refuseStrangeRequests(fastify: FastifyInstance): void {
  fastify.addHook('onRequest', async (request, reply) => {
    const { raw } = request;
    if (!METHODS.includes(request.method)) {
      void reply.header('Allow', METHODS.join(', '));
      throw new AppError('method-not-allowed');
    }
    // Only proxies are asked with a whole URL, and we are none: everything that reads the target goes by its path.
    if (!request.url.startsWith('/')) throw new AppError('bad-request', { detail: 'The target is no path.' });
    if (request.url.length > URL_LIMIT) throw new AppError('uri-too-long', { detail: `It may have ${String(URL_LIMIT)} characters.` });
    if (request.url.includes('\0') || request.url.includes('%00')) throw new AppError('bad-request', { detail: 'The URL holds a null character.' });
    if (raw.rawHeaders.length > 2 * HEADER_LIMIT) throw new AppError('headers-too-large', { detail: `There may be ${String(HEADER_LIMIT)} header fields.` });
    const twice = saidTwice(raw);
    if (twice !== undefined) throw new AppError('bad-request', { detail: `The header field ${twice} may come once only.` });
  });
}

function saidTwice({ rawHeaders }: IncomingMessage): string | undefined {
  const seen = new Set<string>();
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]?.toLowerCase() ?? '';
    if (!SAID_ONCE.has(name)) continue;
    if (seen.has(name)) return name;
    seen.add(name);
  }
  return undefined;
}

/** JSON and forms, each with its own limits. `__proto__` and `constructor.prototype` in JSON are refused by Fastify's parser. */
export function useStrictParsers(app: NestFastifyApplication): void {
  const fastify: FastifyInstance = app.getHttpAdapter().getInstance();
  const parse = fastify.getDefaultJsonParser('error', 'error');
  app.useBodyParser('application/json', { bodyLimit: JSON_LIMIT_BYTES }, (request: FastifyRequest, body: Buffer, done) => {
    if (isDeeperThan(body, JSON_DEPTH)) done(new AppError('invalid-body', { detail: `JSON may be nested ${String(JSON_DEPTH)} levels deep.` }));
    else void parse(request, body.toString('utf8'), done);
  });
  // Fastify's own, which hands text to handlers that expect JSON; and a page of any origin may send it.
  fastify.removeContentTypeParser('text/plain');
  app.useBodyParser('application/x-www-form-urlencoded', { bodyLimit: FORM_LIMIT_BYTES });
}

/**
 * A body that is read whole has to be there within the time limit; and what is still on its way when a request has been
 * answered must not hold the connection by trickling.
 */
export function limitBodyTime(fastify: FastifyInstance, limitMs: number): void {
  fastify.addHook('onRequest', async (request, reply) => {
    const { headers } = request;
    const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
    if (hasBody && !STREAMED.test(headers['content-type'] ?? '')) limitWait(request, reply, limitMs);
  });
  fastify.addHook('onResponse', ({ raw }, _reply, done) => {
    if (!raw.complete) cutOffTrickle(raw, limitMs);
    done();
  });
}

function limitWait({ raw }: FastifyRequest, reply: FastifyReply, limitMs: number): void {
  const timer = setTimeout(() => {
    if (raw.complete || reply.sent) return;
    // Whoever reads the body gets to know; when nobody does, there is nobody who would answer.
    if (raw.listenerCount('error') === 0) raw.destroy();
    else {
      void reply.header('Connection', 'close');
      raw.emit('error', Object.assign(new AppError('request-timeout'), { statusCode: 408 }));
    }
  }, limitMs);
  const clear = (): void => { clearTimeout(timer); };
  raw.once('end', clear).once('close', clear);
}

function cutOffTrickle(raw: IncomingMessage, limitMs: number): void {
  const { socket } = raw;
  let before = socket.bytesRead;
  const timer = setInterval(() => {
    if (raw.complete || socket.destroyed) clearInterval(timer);
    else if (socket.bytesRead - before < LEAST_REST_BYTES) socket.destroy();
    before = socket.bytesRead;
  }, limitMs);
  timer.unref();
  socket.once('close', () => { clearInterval(timer); });
  raw.once('close', () => { clearInterval(timer); });
}
