import type { FastifyRequest } from 'fastify';
import { TLSSocket } from 'node:tls';

/** A connection keeps its certificate for as long as it lasts. */
const KNOWN = new WeakMap<TLSSocket, string | null>();

/**
 * The SHA-256 of the certificate that the caller has proved to hold, hex; undefined when there is none, or none that TLS_CLIENT_CA_FILE vouches for.
 * What a header says of a certificate counts for nothing.
 */
export function certificateOf({ raw: { socket } }: Pick<FastifyRequest, 'raw'>): string | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
  const known = KNOWN.get(socket);
  if (known !== undefined) return known ?? undefined;
  // Empty without a certificate, though the types do not say so.
  const { fingerprint256 } = socket.getPeerCertificate() as { fingerprint256?: string };
  const sha256 = fingerprint256?.replaceAll(':', '').toLowerCase();
  KNOWN.set(socket, sha256 ?? null);
  return sha256;
}
