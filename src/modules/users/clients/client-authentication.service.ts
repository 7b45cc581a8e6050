import { Inject, Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, type JSONWebKeySet, type JWTVerifyResult } from 'jose';
import { z } from 'zod';
import { ExpiringCache } from '../../../kernel/expiring-cache.js';
import { CONFIG, type Config } from '../../../platform/config.js';
import { noteForAudit } from '../../../platform/audit/audit-note.js';
import { LOGGER, type Logger } from '../../../platform/ops/logger.js';
import { issuerOf } from '../access-token.js';
import { OAuthError } from '../oauth-error.js';
import { KeysUnavailable, RemoteKeys, verifyBy } from '../remote-keys.js';
import { isSameDigest, sha256Hex } from '../secrets.js';
import { certificateOf } from './client-certificate.js';
import { ClientDocuments } from './client-documents.js';
import { ASSERTION_ALGORITHMS } from './client-jwks.js';
import { ClientPrincipals } from './client-principals.js';
import { presentedCredential, type ClientParameters, type PresentedCredential } from './presented-credential.js';
import { OAuthClientsStore, type OAuthClient } from './oauth-clients.store.js';

/** An assertion lives at most this long, so that we need not remember it for longer. */
const LONGEST_SECONDS = 300;
/** How far clocks may be apart. */
const SKEW_SECONDS = 60;
const KEY_SETS = 1_000;
const KEY_SETS_MS = 24 * 3_600_000;

/** PostgreSQL's text holds no null character, and no id is endless. */
const assertionClaims = z.object({ sub: z.uuid(), iss: z.string(), aud: z.union([z.string(), z.tuple([z.string()])]), jti: z.string().regex(/^[\x20-\x7e]{1,255}$/), exp: z.number(), iat: z.number().optional() });

/** Checks at the token endpoint that a client is who it says. */
@Injectable()
export class ClientAuthenticationService {
  private readonly remote = new ExpiringCache<RemoteKeys>(KEY_SETS_MS, KEY_SETS);

  constructor(
    private readonly clients: OAuthClientsStore,
    private readonly principals: ClientPrincipals,
    private readonly documents: ClientDocuments,
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /**
   * @throws OAuthError `invalid_client` for whatever is wrong, in the same words; `invalid_request` for two credentials at once; `temporarily_unavailable` when the client's keys cannot be read
   * @see RFC 6749 §2.3, RFC 7523 §2.2, RFC 8705 §2
   */
  async authenticate(request: FastifyRequest, parameters: ClientParameters): Promise<OAuthClient> {
    const presented = presentedCredential(request.headers.authorization, parameters);
    const client = await this.clientOf(presented, request);
    if (!client || !(await this.principals.isWelcome(client, request.ip))) throw unknownClient();
    return client;
  }

  private async clientOf(presented: PresentedCredential, request: FastifyRequest): Promise<OAuthClient | undefined> {
    switch (presented.kind) {
      case 'none': return undefined;
      case 'secret': {
        const client = await this.find(presented.clientId, 'client_secret', request);
        return client?.secretHash && isSameDigest(sha256Hex(presented.secret), client.secretHash) ? client : undefined;
      }
      case 'assertion': return this.ofAssertion(presented.assertion, presented.clientId, request);
      case 'id': {
        const client = await this.find(presented.clientId, 'tls_client_auth', request);
        const certificate = client && certificateOf(request);
        return client?.certificateSha256 && certificate && isSameDigest(certificate, client.certificateSha256) ? client : undefined;
      }
    }
  }

  private async find(clientId: string, authentication: OAuthClient['authentication'], request: FastifyRequest): Promise<OAuthClient | undefined> {
    const client = z.uuid().safeParse(clientId).success ? await this.clients.find(clientId) : undefined;
    // Whoever watches over its institution sees who tries it.
    if (client) noteForAudit(request, { institutionId: client.institutionId, object: client.id });
    return client?.authentication === authentication ? client : undefined;
  }

  /** What costs least comes first: a client is looked up for a token that could be its own, its keys are read for one that it could have made now. */
  private async ofAssertion(assertion: string, clientId: string | undefined, request: FastifyRequest): Promise<OAuthClient | undefined> {
    const claims = this.readable(assertion, request);
    if (!claims || (clientId !== undefined && clientId !== claims.sub)) return undefined;
    const client = await this.find(claims.sub, 'private_key_jwt', request);
    if (!client || !(await this.verify(client, assertion))) return undefined;
    // Until then the signature keeps it out by its own expiry, skew included.
    const expiresAt = new Date((claims.exp + 2 * SKEW_SECONDS) * 1000);
    return (await this.clients.takeAssertion(client, claims.jti, expiresAt)) ? client : undefined;
  }

  /** The claims of an assertion that is not refused before its signature is looked at. */
  private readable(assertion: string, request: FastifyRequest): z.output<typeof assertionClaims> | undefined {
    try {
      const { alg } = decodeProtectedHeader(assertion);
      const { success, data } = assertionClaims.safeParse(decodeJwt(assertion));
      if (!success || !ASSERTION_ALGORITHMS.includes(alg ?? '') || data.iss !== data.sub) return undefined;
      const now = Date.now() / 1000;
      if (data.exp < now - SKEW_SECONDS || data.exp > now + LONGEST_SECONDS + SKEW_SECONDS || (data.iat ?? now) > now + SKEW_SECONDS) return undefined;
      return audiencesOf(this.config, request).includes(typeof data.aud === 'string' ? data.aud : data.aud[0]) ? data : undefined;
    } catch {
      return undefined;
    }
  }

  private async verify({ id, jwks, jwksUri }: OAuthClient, assertion: string): Promise<JWTVerifyResult | null> {
    const options = { algorithms: ASSERTION_ALGORITHMS, clockTolerance: SKEW_SECONDS };
    if (jwks) {
      // What `clientJwks` has parsed is a key set.
      const outcome = await verifyBy(createLocalJWKSet(jwks as unknown as JSONWebKeySet), assertion, options);
      return outcome === 'no-key' ? null : outcome;
    }
    if (jwksUri === null) return null;
    try {
      const keys = await this.remote.get(jwksUri, (uri) => Promise.resolve(new RemoteKeys(() => this.documents.json(uri), (err) => { this.logger.warn({ err, clientId: id }, 'the keys of a client cannot be read'); })));
      return (await keys?.verify(assertion, options)) ?? null;
    } catch (error) {
      if (error instanceof KeysUnavailable) throw new OAuthError('temporarily_unavailable', 'The keys of the client cannot be read; try again soon.');
      throw error;
    }
  }
}

/**
 * Whom an assertion may be meant for. Its host alone does not make us the one: a server that the client signs in to as well could pass its assertions on to us
 * under its own name. So without PUBLIC_URL the address that the caller used counts on this machine only.
 */
export function audiencesOf(config: Pick<Config, 'PUBLIC_URL'>, { protocol, host, hostname }: Pick<FastifyRequest, 'protocol' | 'host' | 'hostname'>): string[] {
  const issuer = issuerOf(config);
  if (config.PUBLIC_URL !== undefined) return [issuer, `${issuer}/oauth2/token`];
  return ['localhost', '127.0.0.1', '[::1]'].includes(hostname) ? [issuer, `${protocol}://${host}/oauth2/token`] : [issuer];
}

function unknownClient(): OAuthError {
  return new OAuthError('invalid_client', 'The client is unknown, or its credential is not valid (any more).');
}
