import type { FastifyRequest } from 'fastify';
import { AppError } from '../../../kernel/errors.js';

/**
 * Refuses a sign-in that a page of another site sends: it would sign its visitor in as somebody else. Callers that are no
 * browsers say nothing of where they come from.
 *
 * @param publicUrl  where a proxy lets browsers find us
 * @throws AppError `csrf-token-invalid`
 * @see Fetch Metadata Request Headers, 2.3
 */
export function requireSameSite({ headers, host }: FastifyRequest, publicUrl: string | undefined): void {
  const { 'sec-fetch-site': site, origin } = headers;
  const isOther = site === undefined ? origin !== undefined && !isAt(origin, host, publicUrl) : site !== 'same-origin' && site !== 'none';
  if (isOther) throw new AppError('csrf-token-invalid', { detail: 'Sign in from a page of this installation.' });
}

function isAt(origin: string, host: string, publicUrl: string | undefined): boolean {
  const from = hostOf(origin);
  return from !== undefined && (from === host || from === hostOf(publicUrl));
}

function hostOf(url: string | undefined): string | undefined {
  return url !== undefined && URL.canParse(url) ? new URL(url).host : undefined;
}
