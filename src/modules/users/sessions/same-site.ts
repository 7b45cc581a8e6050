import type { FastifyRequest } from 'fastify';
import { AppError } from '../../../kernel/errors.js';

/**
 * Refuses a sign-in that a page of another site sends: it would sign its visitor in as somebody else. Callers that are no
 * browsers say nothing of where they come from.
 *
 * @throws AppError `csrf-token-invalid`
 * @see Fetch Metadata Request Headers, 2.3
 */
export function requireSameSite({ headers, host }: FastifyRequest): void {
  const { 'sec-fetch-site': site, origin } = headers;
  const isOther = site === undefined ? origin !== undefined && hostOf(origin) !== host : site !== 'same-origin' && site !== 'none';
  if (isOther) throw new AppError('csrf-token-invalid', { detail: 'Sign in from a page of this installation.' });
}

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}
