import { describe, expect, it } from 'vitest';
import { abortPdu, dataPdu, pdvsOf } from './protocol.js';

describe('P-DATA', () => {
  it('is cut into its fragments, and a fragment makes one of its own', () => {
    const fragments = [
      { contextId: 1, isCommand: true, isLast: false, value: Buffer.from('abc') },
      { contextId: 255, isCommand: false, isLast: true, value: Buffer.alloc(0) },
    ];
    const pdus = fragments.map(dataPdu);
    for (const [i, pdu] of pdus.entries()) expect(pdvsOf(pdu)).toEqual([fragments[i]]);
    expect(pdvsOf(Buffer.concat([pdus[0] ?? Buffer.alloc(0), (pdus[1] ?? Buffer.alloc(0)).subarray(6)]))).toEqual(fragments);
    expect(pdvsOf(Buffer.from([4, 0, 0, 0, 0, 0]))).toEqual([]);
  });

  it('is refused when a fragment does not fit', () => {
    for (const hex of ['040000000003000000', '04000000000500000001ff', '0400000000060000000501030a', '040000000006ffffffff0103']) expect(() => pdvsOf(Buffer.from(hex, 'hex'))).toThrow();
  });
});

describe('A-ABORT', () => {
  it('says who aborts and why', () => {
    expect(abortPdu(6).toString('hex')).toBe('07000000000400000206');
  });
});
