import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { DataKey } from '../../../platform/crypto/key-vault.js';
import { sealContext, sealJson } from '../sealed-json.js';
import { elementText, SealedAttributesReader, type StoredAttributes } from './stored-attributes.js';

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

  it('are remembered as long as they are few bytes, those that were not asked for longest giving way', () => {
    const [reader, key] = [new SealedAttributesReader(), newKey()];
    const sealedOf = (length: number, name: string): Buffer => sealJson(key, `{"00100020":{"vr":"LO","Value":["${'x'.repeat(length)}"]}}`, name);
    const isKept = (sealed: Buffer, name: string): boolean => reader.openOften(key, sealed, name) === reader.openOften(key, sealed, name);
    expect([isKept(sealedOf(12_000, 'a'), 'a'), isKept(sealedOf(17_000, 'b'), 'b')]).toEqual([true, false]);
    const names = Array.from({ length: 1_000 }, (_, at) => String(at));
    const sealed = new Map(names.map((name) => [name, sealedOf(12_000, name)]));
    const open = (name: string): StoredAttributes => reader.openOften(key, sealed.get(name) ?? Buffer.alloc(0), name);
    const first = open('0');
    const opened = names.map((name) => {
      expect(open('0')).toBe(first);
      return open(name);
    });
    // The newest first: what is opened anew takes the place of another.
    const kept = names.map((_, at) => at).reverse().filter((at) => open(String(at)) === opened[at]).length;
    expect(kept).toBeGreaterThan(500);
    expect(kept * 4 * 12_000).toBeLessThan(32 << 20);
  });

  it('are forgotten with the key', async () => {
    const reader = new SealedAttributesReader();
    const opened = (() => {
      const key = newKey();
      return new WeakRef(reader.openOften(key, sealJson(key, '{}', context), context));
    })();
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    // What a WeakRef gave or was made of lives until the end of the turn.
    await new Promise((resolve) => setTimeout(resolve));
    collect();
    expect(opened.deref()).toBeUndefined();
  });
});

describe('the text of an element', () => {
  it('leaves out what was left in the object, and nothing that only looks so', () => {
    expect(elementText({ vr: 'OW', BulkDataURI: 'hv:/7FE00010' })).toBeUndefined();
    expect(elementText({ vr: 'LT', Value: ['"BulkDataURI":"hv:/7FE00010"'] })).toContain('hv:/');
    expect(elementText({ vr: 'SQ', Value: [{ '00091001': { vr: 'OB', BulkDataURI: 'hv:/x' }, '00091002': { vr: 'SQ', Value: [{ '00091003': { vr: 'OB', BulkDataURI: 'hv:/y' } }] } }, null] })).toBe('{"vr":"SQ","Value":[{"00091002":{"vr":"SQ","Value":[{}]}},{}]}');
  });
});
