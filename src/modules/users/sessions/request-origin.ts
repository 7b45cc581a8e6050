import type { FastifyRequest } from 'fastify';

/** Where a sign-in comes from, as the list of sign-ins shows it. */
export interface RequestOrigin {
  address: string;
  userAgent: string | null;
}

const MOST_OF_AGENT = 300;

export function originOf({ ip, headers: { 'user-agent': userAgent } }: FastifyRequest): RequestOrigin {
  // Headers may hold any byte; what people read is one line of text.
  return { address: ip, userAgent: userAgent?.replace(/[^\x20-\x7e]/g, '').slice(0, MOST_OF_AGENT) ?? null };
}
