import { describe, expect, it } from 'vitest';
import { isApiKey, newApiKey, randomBase62, sha256Hex } from './secrets.js';

describe('an API key', () => {
  it('is recognised, and is new each time', () => {
    const keys = Array.from({ length: 200 }, newApiKey);
    expect(keys.every(isApiKey)).toBe(true);
    expect(new Set(keys).size).toBe(200);
    expect(keys.every((key) => /^hv_[0-9A-Za-z]{46}$/.test(key))).toBe(true);
  });

  it('is told from every single typing error and from two neighbours in the wrong order', () => {
    const good = Array.from({ length: 20 }, newApiKey);
    for (const one of good) {
      for (let index = 3; index < one.length; index++) {
        const typo = `${one.slice(0, index)}${one[index] === 'x' ? 'y' : 'x'}${one.slice(index + 1)}`;
        expect(isApiKey(typo)).toBe(false);
        const swapped = `${one.slice(0, index)}${one[index + 1] ?? ''}${one[index] ?? ''}${one.slice(index + 2)}`;
        expect(isApiKey(swapped)).toBe(swapped === one);
      }
    }
  });

  it('keeps its checksum across versions: keys given out stay valid', () => {
    // CRC-32 of forty zeros is 0x963fbb8e by Python's binascii.crc32, written in base 62.
    expect(isApiKey(`hv_${'0'.repeat(40)}2kaqcA`)).toBe(true);
  });
});

describe('chance', () => {
  it('uses every character about equally', () => {
    const counts = new Map<string, number>();
    for (const character of randomBase62(62_000)) counts.set(character, (counts.get(character) ?? 0) + 1);
    expect(counts.size).toBe(62);
    // 1000 each, standard deviation 31: five of them either way.
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(160);
  });

  it('hashes as sha256sum does', () => {
    expect(sha256Hex('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
  });
});
