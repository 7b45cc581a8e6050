import { randomUUID } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { SignJWT } from 'jose';
import { z } from 'zod';
import { CONFIG, type Config } from '../../platform/config.js';
import { SigningKeysService } from './signing-keys.service.js';
import { ACCESS_TOKEN_SECONDS } from './token-life.js';
import type { User } from './users.store.js';

export const AUDIENCE = 'healthvision';

/** What an access token says. `scope` is a list of permissions separated by spaces. */
export const accessTokenClaims = z.object({
  sub: z.uuid(),
  institution_id: z.uuid(),
  role: z.string(),
  scope: z.string(),
  /** Only of a client, whose token carries no person: its own id again, RFC 9068 §2.2. */
  client_id: z.uuid().optional(),
  /** Only of a client: stands for the credentials it had. */
  credential: z.string().optional(),
  /** Only of a person: the sign-in that it belongs to. */
  sid: z.uuid().optional(),
  jti: z.string(),
  iat: z.number(),
  exp: z.number(),
});

export type AccessTokenClaims = z.infer<typeof accessTokenClaims>;

/** Who issues our tokens: the installation's public URL, where it has one. */
export function issuerOf(config: Pick<Config, 'PUBLIC_URL'>): string {
  return config.PUBLIC_URL ?? 'healthvision';
}

@Injectable()
export class AccessTokens {
  constructor(
    private readonly keys: SigningKeysService,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** A signed token for 15 minutes; `scope` is a list of permissions separated by spaces. @see RFC 7519, RFC 9068 §2 */
  sign(user: Pick<User, 'id' | 'institutionId' | 'role'>, scope: string, sessionId: string): Promise<string> {
    return this.issue(user, { scope, sid: sessionId });
  }

  /** As `sign`, for a system; its scope holds SMART scopes, too. */
  signForClient(client: { id: string; institutionId: string; role: string; credential: string }, scope: string): Promise<string> {
    return this.issue(client, { scope, client_id: client.id, credential: client.credential });
  }

  private async issue({ id, institutionId, role }: { id: string; institutionId: string; role: string }, claims: Record<string, string>): Promise<string> {
    const key = await this.keys.current();
    return new SignJWT({ institution_id: institutionId, role, ...claims })
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: key.kid })
      .setIssuer(issuerOf(this.config))
      .setAudience(AUDIENCE)
      .setSubject(id)
      .setJti(randomUUID())
      .setIssuedAt()
      .setExpirationTime(`${String(ACCESS_TOKEN_SECONDS)}s`)
      .sign(key.privateKey);
  }
}
