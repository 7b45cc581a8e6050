import { Inject, Injectable } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { decodeProtectedHeader } from 'jose';
import passport from 'passport';
import { ExtractJwt, Strategy, type SecretOrKeyProvider } from 'passport-jwt';
import { ExpiringCache } from '../../kernel/expiring-cache.js';
import { CONFIG, type Config } from '../../platform/config.js';
import { Metrics } from '../../platform/ops/metrics.js';
import { AUDIENCE, accessTokenClaims, issuerOf, type AccessTokenClaims } from './access-token.js';
import { sha256Hex } from './secrets.js';
import { SigningKeysService } from './signing-keys.service.js';

const NAME = 'access-token';
/** A signing key retired elsewhere verifies here for at most this much longer. */
const CHECKED_LIFETIME_MS = 10_000;
const CHECKED_CAPACITY = 10_000;

/** The strategy reports a failed look-up of the key as a bad token; the database's trouble is not the caller's. */
class KeyLookupFailure extends Error {
  override readonly name = 'KeyLookupFailure';
}

/** Checks the bearer token of a request: ES256 only, a key of ours, our issuer and audience, not expired. */
@Injectable()
export class AccessTokenStrategy extends PassportStrategy(Strategy, NAME) {
  declare private passport: InstanceType<typeof passport.Authenticator>;
  private readonly checked = new ExpiringCache<AccessTokenClaims>(CHECKED_LIFETIME_MS, CHECKED_CAPACITY);

  constructor(keys: SigningKeysService, @Inject(CONFIG) config: Config, { caches }: Metrics) {
    super({
      jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(),
      secretOrKeyProvider: keyProvider(keys),
      algorithms: ['ES256'],
      audience: AUDIENCE,
      issuer: issuerOf(config),
    });
    caches.watch('access-token', this.checked.tally);
  }

  /** Called by the base class: a passport of our own, because the package's global one is shared by every application of the process. */
  getPassportInstance(): InstanceType<typeof passport.Authenticator> {
    this.passport = new passport.Authenticator();
    return this.passport;
  }

  validate(payload: unknown): AccessTokenClaims | false {
    const claims = accessTokenClaims.safeParse(payload);
    return claims.success ? claims.data : false;
  }

  /**
   * A token's signature is checked once in a while: clients send the same one with every request.
   *
   * @returns null when there is no valid token
   */
  async check(request: FastifyRequest, reply: FastifyReply): Promise<AccessTokenClaims | null> {
    const { authorization } = request.headers;
    if (authorization === undefined) return null;
    const claims = await this.checked.get(sha256Hex(authorization), async () => (await this.checkNow(request, reply)) ?? undefined);
    return claims && claims.exp * 1000 > Date.now() ? claims : null;
  }

  private checkNow(request: FastifyRequest, reply: FastifyReply): Promise<AccessTokenClaims | null> {
    return new Promise((resolve, reject) => {
      const done = (error: Error | null, claims: AccessTokenClaims | false | undefined, info: unknown): void => {
        if (error) reject(error);
        else if (info instanceof KeyLookupFailure) reject(info.cause instanceof Error ? info.cause : info);
        else resolve(claims === false || claims === undefined ? null : claims);
      };
      // The strategy reads nothing but the headers, which Fastify's request has as Express's does.
      const middleware = this.passport.authenticate(NAME, { session: false }, done) as (request: FastifyRequest, reply: FastifyReply, next: (error?: unknown) => void) => void;
      middleware(request, reply, reject);
    });
  }
}

function keyProvider(keys: SigningKeysService): SecretOrKeyProvider {
  return (_request, token: string, done) => {
    // passport-jwt hands the key on to jsonwebtoken, which takes a KeyObject; only its types do not know.
    const found = (key: unknown): void => { done(null, key as string | undefined); };
    const kid = kidOf(token);
    if (kid === undefined) found(undefined);
    else keys.publicKey(kid).then(found, (cause: unknown) => { done(new KeyLookupFailure('the key could not be looked up', { cause })); });
  };
}

function kidOf(token: string): string | undefined {
  try {
    return decodeProtectedHeader(token).kid;
  } catch {
    return undefined;
  }
}
