import { createPublicKey, verify } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import { describe, expect, it } from 'vitest';
import { newSigningSecret, publicKeyText, secretText, signaturesOf } from './signatures.js';

const message = { id: '0198c0de-4b00-7d2a-8c11-5e4f3a2b1c0e', timestamp: Math.floor(Date.now() / 1000), body: '{"type":"result.ready","text":"肺结节 ±"}' };
const headersOf = (signature: string): Record<string, string> => ({ 'webhook-id': message.id, 'webhook-timestamp': String(message.timestamp), 'webhook-signature': signature });

describe('signatures of a message', () => {
  it('are taken by the reference library, with either of two secrets', () => {
    const [now, before, never] = [newSigningSecret(), newSigningSecret(), newSigningSecret()];
    const headers = headersOf(signaturesOf(message, [now, before], true));
    for (const secret of [now, before]) expect(new Webhook(secretText(secret)).verify(message.body, headers)).toEqual(JSON.parse(message.body));
    expect(() => new Webhook(secretText(never)).verify(message.body, headers)).toThrow('No matching signature');
    expect(() => new Webhook(secretText(now)).verify(`${message.body} `, headers)).toThrow('No matching signature');
  });

  it('are Ed25519, too, where that is asked for', () => {
    const secret = newSigningSecret();
    expect(signaturesOf(message, [secret], false)).not.toContain('v1a');
    const [, asymmetric = ''] = signaturesOf(message, [secret], true).split(' ');
    const [version, signature = ''] = asymmetric.split(',');
    const raw = Buffer.from(publicKeyText(secret).replace(/^whpk_/, ''), 'base64');
    expect([version, raw.length]).toEqual(['v1a', 32]);
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url') }, format: 'jwk' });
    const signed = (body: string): Buffer => Buffer.from(`${message.id}.${String(message.timestamp)}.${body}`);
    expect(verify(null, signed(message.body), key, Buffer.from(signature, 'base64'))).toBe(true);
    expect(verify(null, signed('{}'), key, Buffer.from(signature, 'base64'))).toBe(false);
  });
});
