import { describe, expect, it } from 'vitest';
import { readDicomJson } from './read-dicom-json.js';

/** As many sequences in each other as `depth` says; text, because that is how it comes. */
const nested = (depth: number): unknown => JSON.parse('{"00081140":{"vr":"SQ","Value":['.repeat(depth) + '{}' + ']}}'.repeat(depth));
const element = (vr: string, ...Value: unknown[]): unknown => ({ '00091010': { vr, Value } });
const refusal = (detail: string): unknown => expect.objectContaining({ code: 'invalid-dicom', detail });

describe('readDicomJson', () => {
  it('takes what PS3.18 has, and gives tags in upper case at every level', () => {
    expect(readDicomJson({
      '0020000d': { vr: 'UI', Value: ['1.2'] },
      '00081140': { vr: 'SQ', Value: [{ '0040a160': { vr: 'UT', Value: ['x'], unknown: 1 } }, {}] },
      '7fe00010': { vr: 'OW', BulkDataURI: 'pixels/1' },
      '00282000': { vr: 'OB', InlineBinary: 'AQI=' },
      '00081110': { vr: 'SQ' },
    })).toEqual({
      '0020000D': { vr: 'UI', Value: ['1.2'] },
      '00081140': { vr: 'SQ', Value: [{ '0040A160': { vr: 'UT', Value: ['x'] } }, {}] },
      '7FE00010': { vr: 'OW', BulkDataURI: 'pixels/1' },
      '00282000': { vr: 'OB', InlineBinary: 'AQI=' },
      '00081110': { vr: 'SQ' },
    });
  });

  it.each([
    ['US', 1], ['US', '512'], ['SL', -1], ['FD', '-1.5e-3'], ['FD', 0.5], ['FD', 'NaN'], ['FL', '-inf'], ['DS', 0.5], ['DS', '0.50'], ['IS', '7'], ['SV', 5], ['UV', '18446744073709551615'], ['AT', '0020000d'],
    ['LO', 'text'], ['PN', { Alphabetic: 'Wang^XiaoDong', Ideographic: '王^小东' }], ['PN', 'Wang^XiaoDong'], ['PN', {}], ['CS', null], ['US', null], ['OB'],
  ])('takes %s %j', (vr, ...values) => {
    expect(readDicomJson(element(vr, ...values))).toEqual(element(vr, ...values));
  });

  it.each([
    ['US', 'one'], ['SS', '1.5'], ['SL', {}], ['FD', 'one'], ['FL', ''], ['DS', true], ['IS', {}], ['SV', '1.5'], ['UV', '9'.repeat(100)], ['AT', 'tag'], ['LO', 1], ['UI', ['1.2']], ['CS', {}], ['UT', { Alphabetic: 'x' }],
    ['PN', 1], ['PN', { Alphabetic: 1 }], ['PN', { Family: 'Wang' }], ['OB', 1], ['UN', 'x'],
  ])('refuses %s %j', (vr, value) => {
    expect(() => readDicomJson(element(vr, value))).toThrow(refusal(`A value does not fit the VR ${vr}`));
  });

  it.each([['abc'], [1], [null], [['x']], [true]])('refuses %j as an item', (item) => {
    expect(() => readDicomJson(element('SQ', item))).toThrow(refusal('A data set or an item is no object'));
  });

  it('refuses a name as an item, whose members are no elements', () => {
    expect(() => readDicomJson(element('SQ', { Alphabetic: 'x' }))).toThrow(refusal('A key is no tag'));
    expect(() => readDicomJson(element('SQ', { '00100010': 'x' }))).toThrow(refusal('An element is no object'));
  });

  it.each<unknown>([
    1, null, [], 'x', { x: { vr: 'LO' } }, { '0010001': { vr: 'LO' } }, { '00100010': null }, { '00100010': { Value: ['x'] } }, { '00100010': { vr: 'ZZ' } }, { '00100010': { vr: 'LO', Value: 'x' } },
    { '00100010': { vr: 'LO', Value: null } }, { '00100010': { vr: 'OB', InlineBinary: 'A' } }, { '00100010': { vr: 'OB', InlineBinary: '????' } }, { '00100010': { vr: 'LO', InlineBinary: 'AQI=' } },
    { '00100010': { vr: 'OB', BulkDataURI: 1 } },
  ])('refuses %j', (json) => {
    expect(() => readDicomJson(json)).toThrow(expect.objectContaining({ code: 'invalid-dicom' }));
  });

  it('takes 32 sequences in each other, and refuses more, however many', () => {
    expect(readDicomJson(nested(32))).toEqual(nested(32));
    for (const depth of [33, 500, 100_000]) expect(() => readDicomJson(nested(depth))).toThrow(refusal('Sequences are nested too deeply'));
  });

  it('refuses more elements and items than a file may have', () => {
    const items = (count: number): unknown => ({ '00091010': { vr: 'SQ', Value: Array.from({ length: count }, () => ({})) } });
    expect(readDicomJson(items(100_000))['00091010']?.Value).toHaveLength(100_000);
    expect(() => readDicomJson(items(200_000))).toThrow(refusal('The data set has too many elements'));
  });
});
