import { describe, expect, it } from 'vitest';
import { associateRequest, item, pdu, type ProposedContext } from '../../../../test/integration/images/dimse-scu.js';
import { readAssociationRequest } from './association-request.js';

const context = (id: number): ProposedContext => ({ id, abstractSyntax: '1.2.840.10008.1.1', transferSyntaxes: ['1.2.840.10008.1.2'] });

describe('An association request', () => {
  it('comes back with its contexts in order, and otherwise as it was', () => {
    const ordered = associateRequest({ contexts: [1, 3, 127, 255].map(context) });
    const body = ordered.subarray(6);
    const read = readAssociationRequest(associateRequest({ contexts: [127, 3, 255, 1].map(context) }));
    expect(typeof read).toBe('object');
    expect(Buffer.from(read).length).toBe(ordered.length);
    const applicationContext = item(0x10, '1.2.840.10008.3.1.1.1');
    const contexts = body.subarray(68 + applicationContext.length, body.length - 12);
    expect(Buffer.from(read).includes(contexts)).toBe(true);
    expect(Buffer.from(read).subarray(0, 74).equals(ordered.subarray(0, 74))).toBe(true);
  });

  it('is rejected for another protocol version or application', () => {
    expect(readAssociationRequest(associateRequest({ version: 0x8000 }))).toBe('protocol-version');
    expect(typeof readAssociationRequest(associateRequest({ version: 0x8001 }))).toBe('object');
    expect(readAssociationRequest(associateRequest({ applicationContext: '1.2.840.10008.3.1.1.2' }))).toBe('application-context');
    expect(typeof readAssociationRequest(associateRequest({ applicationContext: '1.2.840.10008.3.1.1.1\0' }))).toBe('object');
  });

  it('is refused when it cannot be read', () => {
    const whole = associateRequest();
    const bare = (bytes: Uint8Array): Buffer => pdu(1, Buffer.concat([whole.subarray(6, 74), item(0x10, '1.2.840.10008.3.1.1.1'), bytes]));
    const abstract = item(0x30, '1.2.840.10008.1.1');
    for (const bytes of [
      whole.subarray(0, 60), whole.subarray(0, whole.length - 1), Buffer.concat([whole, Buffer.from([0x20, 0, 0])]), bare(Buffer.alloc(0)), bare(item(0x20, '')), bare(item(0x20, Buffer.from([1, 0, 0, 0]))),
      bare(item(0x20, Buffer.concat([Buffer.from([2, 0, 0, 0]), abstract]))), bare(item(0x20, Buffer.concat([Buffer.from([1, 0, 0, 0]), abstract, abstract]))),
      bare(item(0x20, Buffer.concat([Buffer.from([1, 0, 0, 0]), item(0x40, '1.2.840.10008.1.2'), abstract]))), bare(item(0x20, Buffer.from([1, 0, 0, 0, 0x30, 0, 0xff, 0xff]))),
    ]) expect(() => readAssociationRequest(bytes)).toThrow();
  });
});
