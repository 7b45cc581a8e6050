import { describe, expect, it } from 'vitest';
import { encodeDataSet, type Element } from '../../../../test/support/dicom-builder.js';
import { readCommandSet } from './command-set.js';

const command = (...elements: Element[]): Buffer => Buffer.from(encodeDataSet(elements, { explicit: false, littleEndian: true }));
const STORE: Element[] = [
  [0x00000002, 'UI', '1.2.840.10008.5.1.4.1.1.7'], [0x00000100, 'US', [0x0001]], [0x00000110, 'US', [7]], [0x00000700, 'US', [0]], [0x00000800, 'US', [0]], [0x00001000, 'UI', '1.2.3.4'],
];

describe('A command set', () => {
  it('keeps what a C-STORE-RQ needs and loses the rest', () => {
    const given = command([0x00000000, 'UL', [4711]], [0x00000001, 'UL', [1]], ...STORE, [0x00001030, 'AE', 'MOVER'], [0x00001031, 'US', [3]]);
    expect(readCommandSet(given).equals(command(...STORE))).toBe(true);
    expect(readCommandSet(command(...STORE.toReversed())).equals(command(...STORE))).toBe(true);
  });

  it('is refused for other services, and with a data set where none belongs', () => {
    const of = (service: number, dataSetType: number): Buffer => command([0x00000100, 'US', [service]], [0x00000110, 'US', [1]], [0x00000800, 'US', [dataSetType]]);
    expect(readCommandSet(of(0x0030, 0x0101)).length).toBe(30);
    expect(() => readCommandSet(of(0x0030, 0x0102))).toThrow('cannot be read');
    for (const service of [0x0020, 0x0021, 0x0010, 0x0100, 0x0140, 0x0fff, 0x8001, 0x8030, 0]) expect(() => readCommandSet(of(service, 0x0101))).toThrow('not accepted');
  });

  it('is refused when it is damaged', () => {
    const whole = command(...STORE);
    for (const bytes of [
      Buffer.alloc(0), whole.subarray(0, whole.length - 1), whole.subarray(3), Buffer.from('garbage garbage garbage'), command(...STORE.filter(([tag]) => tag !== 0x00000110)),
      command([0x00000100, 'UL', [1]], [0x00000110, 'US', [1]], [0x00000800, 'US', [0]]), command(...STORE.slice(0, 5), [0x00001000, 'UI', '1'.repeat(66)]), command(...STORE, [0x00080018, 'UI', '1.2']),
    ]) expect(() => readCommandSet(bytes)).toThrow('cannot be read');
  });
});
