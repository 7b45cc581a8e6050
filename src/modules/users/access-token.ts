import { randomUUID } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { SignJWT } from 'jose';
import { z } from 'zod';
import { CONFIG, type Config } from '../../platform/config.js';
import { SigningKeysService } from './signing-keys.service.js';
import type { User } from './users.store.js';

export const ACCESS_TOKEN_SECONDS = 900;
export const AUDIENCE = 'healthvision';

/** What an access token says. `scope` is a list of permissions separated by spaces. */
export const accessTokenClaims = z.object({
  sub: z.uuid(),
  institution_id: z.uuid(),
  role: z.string(),
  scope: z.string(),
  jti: z.string(),
  iat: z.number(),
  exp: z.number(),
});

export type AccessTokenClaims = z.infer<typeof accessTokenClaims>;

/** Who issues our tokens: the installation's public URL, where it has one. */
export function issuerOf(config: Pick<Config, 'PUBLIC_URL'>): string {
  return config.PUBLIC_URL?.replace(/\/+$/, '') ?? 'healthvision';
}

@Injectable()
export class AccessTokens {
  constructor(
    private readonly keys: SigningKeysService,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** A signed token for 15 minutes; `scope` is a list of permissions separated by spaces. @see RFC 7519, RFC 9068 §2 */
  async sign(user: Pick<User, 'id' | 'institutionId' | 'role'>, scope: string): Promise<string> {
    const key = await this.keys.current();
    return new SignJWT({ institution_id: user.institutionId, role: user.role, scope })
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: key.kid })
      .setIssuer(issuerOf(this.config))
      .setAudience(AUDIENCE)
      .setSubject(user.id)
      .setJti(randomUUID())
      .setIssuedAt()
      .setExpirationTime(`${String(ACCESS_TOKEN_SECONDS)}s`)
      .sign(key.privateKey);
  }
}
