import { describe, expect, it } from 'vitest';
import { newSigningSecret, secretText, signaturesOf } from '../../modules/notifications/webhooks/signatures.js';
import { parseListen, signatureFault } from './webhook-listener.js';

const NOW = 1_795_255_200_000;
const secret = newSigningSecret();
const signed = { id: 'id', timestamp: NOW / 1000, body: '{"type":"webhook.test"}' };
const message = (over: Partial<typeof signed> = {}, secrets = [secret]) => {
  const { id, timestamp, body } = { ...signed, ...over };
  return { body, headers: { 'webhook-id': id, 'webhook-timestamp': String(timestamp), 'webhook-signature': signaturesOf(signed, secrets, true) } };
};

describe('the signature of a message', () => {
  it('holds when one of several is that of the secret', () => {
    expect(signatureFault(message(), secretText(secret), NOW)).toBeUndefined();
    expect(signatureFault(message({}, [newSigningSecret(), secret]), secretText(secret), NOW)).toBeUndefined();
  });

  it('does not hold for another secret, another body, another id, or none', () => {
    for (const other of [message({}, [newSigningSecret()]), message({ body: '{}' }), message({ id: 'other' }), { body: '', headers: {} }]) expect(signatureFault(other, secretText(secret), NOW)).toContain('not signed');
  });

  it('tells of clocks that differ', () => {
    expect(signatureFault(message(), secretText(secret), NOW + 400_000)).toContain('400 s from now');
  });
});

describe('--webhook-listen', () => {
  it('is a host and a port', () => {
    expect(parseListen('selftest.hospital.example:9099')).toEqual({ host: 'selftest.hospital.example', port: 9099 });
    expect(parseListen('[fd00::1]:9099')).toEqual({ host: 'fd00::1', port: 9099 });
    for (const text of ['9099', 'host', 'host:', 'host:70000', 'fd00::1:9099', 'http://host:1']) expect(() => parseListen(text), text).toThrow('host:port');
  });
});
