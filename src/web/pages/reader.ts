import type { FastifyReply, FastifyRequest } from 'fastify';
import { AppError } from '../../kernel/errors.js';
import type { Authenticator, Principal } from '../../platform/http/access.js';

/**
 * Who reads a page. Whoever is not signed in is led to the sign-in and back from there, whoever has yet to set up a second factor to
 * where that is done: then the answer is given.
 *
 * @param beforeSecondFactor  the page is also for those who have none yet
 * @throws AppError with a status of 500 and above
 */
export async function readerOf(authenticator: Authenticator, request: FastifyRequest, reply: FastifyReply, { beforeSecondFactor = false } = {}): Promise<Principal | undefined> {
  try {
    const principal = await authenticator.authenticate(request, reply);
    if (!principal.lacksSecondFactor || beforeSecondFactor) return principal;
    void reply.redirect('/account', 303);
  } catch (error) {
    if (!(error instanceof AppError) || error.status >= 500) throw error;
    void reply.redirect(`/login?next=${encodeURIComponent(request.url)}`, 303);
  }
  return undefined;
}
