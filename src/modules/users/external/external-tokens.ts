import { Inject, Injectable } from '@nestjs/common';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { z } from 'zod';
import { AppError } from '../../../kernel/errors.js';
import { CONFIG, type Config } from '../../../platform/config.js';
import type { OidcIssuer } from '../../../platform/oidc-issuers.js';
import { LOGGER, type Logger } from '../../../platform/ops/logger.js';
import { readJsonDocument } from '../json-document.js';
import { KeysUnavailable, RemoteKeys } from '../remote-keys.js';

/** Asymmetric ones only: with a shared secret, or `none`, anybody could be anybody. */
const ALGORITHMS = ['ES256', 'ES384', 'ES512', 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'EdDSA'];
/** How far clocks may be apart. */
const SKEW_SECONDS = 60;
/** What an access token says it is; many issuers say no more than that it is a JWT. @see RFC 9068 §2.1 */
const TYPES = new Set(['at+jwt', 'application/at+jwt', 'jwt', undefined]);
/** Hashes that go with an ID token, which says who signed in somewhere but opens nothing. @see OpenID Connect Core §3.1.3.6, §3.3.2.11 */
const ID_TOKEN_CLAIMS = ['at_hash', 'c_hash', 's_hash'];
const BEARER = /^Bearer +([\w-]+\.[\w-]+\.[\w-]+)$/i;

const claims = z.looseObject({ iss: z.string(), sub: z.string().min(1).max(255).regex(/^[^\u0000-\u001f\u007f]*$/), exp: z.number(), typ: z.string().optional() });
const discovery = z.looseObject({ issuer: z.string(), jwks_uri: z.url({ protocol: /^https?$/ }) });

/** What a token of an external issuer says, once it is known to be good. */
export type ExternalClaims = z.output<typeof claims>;

/** Checks the tokens of the issuers that OIDC_ISSUERS names, by the keys that they publish. */
@Injectable()
export class ExternalTokens {
  private readonly issuers: ReadonlyMap<string, { issuer: OidcIssuer; keys: RemoteKeys }>;

  constructor(@Inject(CONFIG) config: Config, @Inject(LOGGER) logger: Logger) {
    this.issuers = new Map((config.OIDC_ISSUERS ?? []).map((issuer) => [issuer.issuer, {
      issuer, keys: new RemoteKeys(() => publishedKeys(issuer), (err) => { logger.warn({ err, issuer: issuer.issuer }, 'the keys of an external issuer cannot be read'); }),
    }]));
  }

  /** The issuer that a bearer token names, when it is one of ours; nothing about the token is known to be true yet. */
  issuerOf(authorization: string | undefined): OidcIssuer | undefined {
    if (this.issuers.size === 0 || authorization === undefined) return undefined;
    try {
      return this.issuers.get(decodeJwt(tokenOf(authorization)).iss ?? '')?.issuer;
    } catch {
      return undefined;
    }
  }

  /**
   * @returns null when the token is not good
   * @throws AppError `issuer-unavailable` when the issuer's keys were never read, so that nobody can say
   */
  async check(authorization: string, { issuer, audience }: OidcIssuer): Promise<ExternalClaims | null> {
    const token = tokenOf(authorization);
    const keys = this.issuers.get(issuer)?.keys;
    if (!keys || !isPlausible(token, audience)) return null;
    try {
      const verified = await keys.verify(token, { issuer, audience: [...audience], algorithms: ALGORITHMS, clockTolerance: SKEW_SECONDS, requiredClaims: ['exp', 'sub'] });
      const parsed = claims.safeParse(verified?.payload);
      return parsed.success ? parsed.data : null;
    } catch (error) {
      if (error instanceof KeysUnavailable) throw new AppError('issuer-unavailable', { retryAfterSeconds: 5 });
      throw error;
    }
  }
}

/** Whether it is worth a look at its signature: what is bad anyway is refused though the issuer be away. */
function isPlausible(token: string, audience: readonly string[]): boolean {
  try {
    const { alg, typ } = decodeProtectedHeader(token);
    const { success, data } = claims.safeParse(decodeJwt(token));
    if (!success || !ALGORITHMS.includes(alg ?? '') || !TYPES.has(typ?.toLowerCase())) return false;
    // Keycloak writes there what a token is.
    if (data.typ !== undefined && !['bearer', 'jwt', 'at+jwt'].includes(data.typ.toLowerCase())) return false;
    if (ID_TOKEN_CLAIMS.some((name) => name in data)) return false;
    return [data.aud].flat().some((one) => audience.includes(String(one))) && data.exp > Date.now() / 1000 - SKEW_SECONDS;
  } catch {
    return false;
  }
}

/** @throws Error when the issuer does not answer, or answers as another one. @see OpenID Connect Discovery §4.3 */
async function publishedKeys({ issuer, jwksUri }: OidcIssuer): Promise<unknown> {
  if (jwksUri !== undefined) return readJsonDocument(jwksUri);
  const found = discovery.parse(await readJsonDocument(`${issuer.replace(/\/+$/, '')}/.well-known/openid-configuration`));
  if (found.issuer !== issuer) throw new Error('the discovery document is of another issuer');
  // Keys that came in clear could be anybody's.
  if (issuer.startsWith('https:') && !found.jwks_uri.startsWith('https:')) throw new Error('the keys are published in clear');
  return readJsonDocument(found.jwks_uri);
}

function tokenOf(authorization: string): string {
  return BEARER.exec(authorization)?.[1] ?? '';
}
