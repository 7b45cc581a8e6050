import { createHmac, createPrivateKey, createPublicKey, randomBytes, sign, type KeyObject } from 'node:crypto';

const SECRET_BYTES = 32;
/** PKCS #8 of an Ed25519 key before its 32 bytes. @see RFC 8410 §7 */
const PKCS8_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex');

/** What messages to one endpoint are signed with. */
export interface SigningSecret {
  /** 32 bytes, for HMAC-SHA256. */
  hmac: Buffer;
  /** 32 bytes, for Ed25519. */
  seed: Buffer;
}

/** What is signed. */
export interface SignedMessage {
  /** `webhook-id` */
  id: string;
  /** `webhook-timestamp`: seconds since 1970. */
  timestamp: number;
  body: string;
}

export function newSigningSecret(): SigningSecret {
  return { hmac: randomBytes(SECRET_BYTES), seed: randomBytes(SECRET_BYTES) };
}

/** As its receiver gets it. @see Standard Webhooks, "Signature scheme" */
export function secretText({ hmac }: SigningSecret): string {
  return `whsec_${hmac.toString('base64')}`;
}

/** Of the Ed25519 key, as its receiver gets it. */
export function publicKeyText({ seed }: SigningSecret): string {
  const { x = '' } = createPublicKey(privateKeyOf(seed)).export({ format: 'jwk' });
  return `whpk_${Buffer.from(x, 'base64url').toString('base64')}`;
}

/**
 * The value of `webhook-signature`: one signature for each secret, so that a receiver that knows one of them is content.
 *
 * @param ed25519  `v1a` beside `v1`
 * @see Standard Webhooks, "Webhook headers"
 */
export function signaturesOf({ id, timestamp, body }: SignedMessage, secrets: readonly SigningSecret[], ed25519: boolean): string {
  const text = `${id}.${String(timestamp)}.${body}`;
  return [
    ...secrets.map(({ hmac }) => `v1,${createHmac('sha256', hmac).update(text).digest('base64')}`),
    ...(ed25519 ? secrets.map(({ seed }) => `v1a,${sign(null, Buffer.from(text), privateKeyOf(seed)).toString('base64')}`) : []),
  ].join(' ');
}

function privateKeyOf(seed: Buffer): KeyObject {
  return createPrivateKey({ key: Buffer.concat([PKCS8_HEAD, seed]), format: 'der', type: 'pkcs8' });
}
