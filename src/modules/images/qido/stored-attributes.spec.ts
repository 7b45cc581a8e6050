import { describe, expect, it } from 'vitest';
import { DataKey } from '../../../platform/crypto/key-vault.js';
import { sealContext, sealJson } from '../sealed-json.js';
import { elementText, SealedAttributesReader } from './stored-attributes.js';

const newKey = (byte = 1): DataKey => new DataKey('k', Buffer.alloc(32, byte));
const context = sealContext.study('s');

describe('sealed attributes', () => {
  it('that are opened often are opened once, as long as key and bytes are the same', () => {
    const [reader, key] = [new SealedAttributesReader(), newKey()];
    const sealed = sealJson(key, '{"00100020":{"vr":"LO","Value":["P1"]}}', context);
    const first = reader.openOften(key, sealed, context);
    expect(first.text('00100020')).toBe('{"vr":"LO","Value":["P1"]}');
    expect(reader.openOften(key, Buffer.from(sealed), context)).toBe(first);
    expect(reader.open(key, sealed, context)).not.toBe(first);
    expect(reader.openOften(newKey(), sealed, context)).not.toBe(first);
    const changed = sealJson(key, '{"00100020":{"vr":"LO","Value":["P2"]}}', context);
    expect(reader.openOften(key, changed, context).text('00100020')).toContain('P2');
  });

  it('are never taken from memory in the place of damaged or foreign ones', () => {
    const [reader, key] = [new SealedAttributesReader(), newKey()];
    const sealed = sealJson(key, '{}', context);
    reader.openOften(key, sealed, context);
    for (let at = 0; at < sealed.length; at++) {
      const damaged = Buffer.from(sealed);
      damaged[at] = (damaged[at] ?? 0) ^ 1;
      expect(() => reader.openOften(key, damaged, context)).toThrow(expect.objectContaining({ code: 'blob-corrupt' }));
    }
    expect(() => reader.openOften(newKey(2), sealed, context)).toThrow();
    expect(() => reader.openOften(key, sealed, sealContext.study('other'))).toThrow();
  });

  it('are remembered for a thousand studies', () => {
    const reader = new SealedAttributesReader();
    const keys = Array.from({ length: 1_001 }, () => newKey());
    const sealed = sealJson(newKey(), '{}', context);
    const opened = keys.map((key) => reader.openOften(key, sealed, context));
    expect(keys.map((key, at) => reader.openOften(key, sealed, context) === opened[at]).filter(Boolean).length).toBeLessThanOrEqual(1_000);
  });
});

describe('the text of an element', () => {
  it('leaves out what was left in the object, and nothing that only looks so', () => {
    expect(elementText({ vr: 'OW', BulkDataURI: 'hv:/7FE00010' })).toBeUndefined();
    expect(elementText({ vr: 'LT', Value: ['"BulkDataURI":"hv:/7FE00010"'] })).toContain('hv:/');
    expect(elementText({ vr: 'SQ', Value: [{ '00091001': { vr: 'OB', BulkDataURI: 'hv:/x' }, '00091002': { vr: 'SQ', Value: [{ '00091003': { vr: 'OB', BulkDataURI: 'hv:/y' } }] } }, null] })).toBe('{"vr":"SQ","Value":[{"00091002":{"vr":"SQ","Value":[{}]}},{}]}');
  });
});
