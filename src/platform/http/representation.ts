import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Language } from '../../kernel/errors.js';

/**
 * A strong ETag over what decides an answer's bytes: id, version, language. Each representation has its own.
 * @see RFC 9110 §8.8.3
 */
export function etagOf(...parts: readonly (string | number)[]): string {
  return `"${createHash('sha256').update(JSON.stringify(parts)).digest('base64url').slice(0, 22)}"`;
}

/** Whether `If-None-Match` names this ETag. @see RFC 9110 §13.1.2 */
export function matches(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  return ifNoneMatch.split(',').some((given) => { const tag = given.trim().replace(/^W\//, ''); return tag === '*' || tag === etag; });
}

/**
 * Sets the headers of an answer that a client may keep but must ask about again, and answers 304 when it has it already.
 *
 * @returns true when the answer is 304: the handler returns nothing
 */
export function isNotModified(request: FastifyRequest, reply: FastifyReply, etag: string, language?: Language): boolean {
  void reply.header('ETag', etag).header('Cache-Control', 'private, no-cache');
  if (language !== undefined) speaks(reply, language);
  if (!matches(request.headers['if-none-match'], etag)) return false;
  void reply.status(304);
  return true;
}

/** Says in which language the answer is, and that another caller may get another one. */
export function speaks(reply: FastifyReply, language: Language): void {
  const vary = reply.getHeader('Vary');
  void reply.header('Content-Language', language).header('Vary', vary === undefined ? 'Accept-Language' : `${String(vary)}, Accept-Language`);
}
