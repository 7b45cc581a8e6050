import { createLocalJWKSet, errors, jwtVerify, type JWTVerifyGetKey, type JWTVerifyOptions, type JWTVerifyResult } from 'jose';
import { z } from 'zod';

/** Keys are read again after this long, and at an unknown key after the shorter one. */
const FRESH_MS = 10 * 60_000;
const PAUSE_MS = 30_000;
/** While they cannot be read the known ones serve on, for at most this long. */
const LONGEST_MS = 24 * 3_600_000;

const keySet = z.object({ keys: z.array(z.looseObject({ kty: z.string() })).max(100) });

/** Nobody could say whether the token is good: its issuer's keys were never read. */
export class KeysUnavailable extends Error {
  override readonly name = 'KeysUnavailable';
}

/** Public keys that somebody else publishes, kept for a while; somebody who is away for a moment still verifies. */
export class RemoteKeys {
  private keys: JWTVerifyGetKey | undefined;
  private readAt = -Infinity;
  private triedAt = -Infinity;
  private reading: Promise<void> | undefined;

  /**
   * @param load  the JSON Web Key Set as it is published now
   * @param failed  told of every load that failed
   */
  constructor(
    private readonly load: () => Promise<unknown>,
    private readonly failed: (error: unknown) => void,
    private readonly now: () => number = Date.now,
  ) {}

  /**
   * @returns null for a token that is not good by these keys and options
   * @throws KeysUnavailable
   */
  async verify(token: string, options: JWTVerifyOptions): Promise<JWTVerifyResult | null> {
    const age = this.now() - this.readAt;
    if (age > FRESH_MS) await this.read(this.keys === undefined ? 1_000 : PAUSE_MS);
    if (!this.keys || this.now() - this.readAt > LONGEST_MS) throw new KeysUnavailable('no keys');
    const first = await verifyBy(this.keys, token, options);
    if (first !== 'no-key') return first;
    const before = this.readAt;
    await this.read(PAUSE_MS);
    if (this.readAt === before) return null;
    const second = await verifyBy(this.keys, token, options);
    return second === 'no-key' ? null : second;
  }

  /** Once for all who wait, and not again within `pauseMs` of the last try: forged tokens make us ask no more often than that. */
  private async read(pauseMs: number): Promise<void> {
    if (!this.reading && this.now() - this.triedAt < pauseMs) return;
    this.reading ??= this.readNow().finally(() => { this.reading = undefined; });
    await this.reading;
  }

  private async readNow(): Promise<void> {
    this.triedAt = this.now();
    try {
      const { keys } = keySet.parse(await this.load());
      // Members of a key are jose's to check.
      this.keys = createLocalJWKSet({ keys });
      this.readAt = this.now();
    } catch (error) {
      this.failed(error);
    }
  }
}

/**
 * Verifies a token by the key of a set that fits; of several that do, by each.
 *
 * @returns null when the token is not good
 */
export async function verifyBy(keys: JWTVerifyGetKey, token: string, options: JWTVerifyOptions): Promise<JWTVerifyResult | 'no-key' | null> {
  try {
    return await jwtVerify(token, keys, options);
  } catch (error) {
    if (error instanceof errors.JWKSNoMatchingKey) return 'no-key';
    // jose's own errors, and those of Node about a key that does not fit, speak of the token: whatever it holds, it is only not good.
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) return null;
    for await (const key of error) {
      try {
        return await jwtVerify(token, key, options);
      } catch (other) {
        if (!(other instanceof errors.JWSSignatureVerificationFailed)) return null;
      }
    }
    return null;
  }
}
