import { describe, expect, it } from 'vitest';
import { dicomFile, imagePixel } from '../../../test/support/dicom-builder.js';
import type { DicomJson } from './dicom-json.js';
import { parseInstanceBytes } from './header.js';
import { decimalString, encodeDataSet, encodeFileHead } from './write-data-set.js';

const UIDS: DicomJson = {
  '00080016': { vr: 'UI', Value: ['1.2.840.10008.5.1.4.1.1.7'] },
  '00080018': { vr: 'UI', Value: ['1.2.3.4'] },
  '0020000D': { vr: 'UI', Value: ['1.2.3'] },
  '0020000E': { vr: 'UI', Value: ['1.2.3.1'] },
};

function file(attributes: DicomJson): Buffer {
  const head = encodeFileHead({ sopClassUid: '1.2.840.10008.5.1.4.1.1.7', sopInstanceUid: '1.2.3.4', transferSyntaxUid: '1.2.840.10008.1.2.1' });
  return Buffer.concat([head, ...encodeDataSet<Uint8Array>({ ...UIDS, ...attributes })]);
}

/** What our own reader makes of it. */
function reread(attributes: DicomJson): DicomJson {
  const own = new Set([...Object.keys(UIDS), '00080005']);
  return Object.fromEntries(Object.entries(parseInstanceBytes(file(attributes)).attributes).filter(([tag]) => !own.has(tag)));
}

describe('encodeDataSet', () => {
  it('writes what the reader gives, every VR', () => {
    const attributes: DicomJson = {
      '00080008': { vr: 'CS', Value: ['ORIGINAL', null, 'AXIAL'] },
      '00080020': { vr: 'DA', Value: ['20200131'] },
      '00080030': { vr: 'TM', Value: ['101112.5'] },
      '00080054': { vr: 'AE', Value: ['CT1'] },
      '00080120': { vr: 'UR', Value: ['urn:oid:1.2'] },
      '00080301': { vr: 'US', Value: [0, 65535] },
      '00100010': { vr: 'PN', Value: [{ Alphabetic: 'Wang^XiaoDong', Ideographic: '王^小东', Phonetic: 'x' }, { Ideographic: '王' }, null] },
      '00100020': { vr: 'LO', Value: ['é ü 中', 'b'] },
      '00101010': { vr: 'AS', Value: ['041Y'] },
      '00119999': { vr: 'UN', InlineBinary: 'AQID/w==' },
      '00186020': { vr: 'SL', Value: [-5, 2147483647] },
      '00189219': { vr: 'SS', Value: [-32768, 7] },
      '00200013': { vr: 'IS', Value: [-12] },
      '00200032': { vr: 'DS', Value: [-0.5, 1e-7, 123456789012345] },
      '00209165': { vr: 'AT', Value: ['00280010', 'FFFEE00D'] },
      '00281101': { vr: 'OW', InlineBinary: 'AQIDBA==' },
      '0040A160': { vr: 'UT', Value: ['two\nlines \\ one value'] },
      '00189087': { vr: 'FD', Value: [0.1, 'NaN', 'inf', '-inf'] },
      '00189069': { vr: 'FL', Value: [0.5] },
      '0040A161': { vr: 'SV', Value: [-9, '-9223372036854775808'] },
      '0040A162': { vr: 'UV', Value: ['18446744073709551615'] },
      '00660040': { vr: 'UL', Value: [4294967295] },
      '00081140': { vr: 'SQ', Value: [{ '00081155': { vr: 'UI', Value: ['1.2.3.40'] }, '00081199': { vr: 'SQ', Value: [{}, { '00080100': { vr: 'SH', Value: ['A'] } }] } }, {}] },
      '00081110': { vr: 'SQ' },
      '00104000': { vr: 'LT' },
    };
    expect(reread(attributes)).toEqual(attributes);
  });

  it('keeps to even lengths, ascending tags, defined lengths and one character set', () => {
    const bytes = file({
      '00100020': { vr: 'LO', Value: ['中'] },
      '00081140': { vr: 'SQ', Value: [{ '00080005': { vr: 'CS', Value: ['GB18030'] }, '00081155': { vr: 'UI', Value: ['1.2.3'] } }] },
    });
    const parsed = parseInstanceBytes(bytes);
    expect(Object.keys(parsed.attributes)).toEqual([...Object.keys(parsed.attributes)].sort());
    expect(parsed.attributes['00080005']).toEqual({ vr: 'CS', Value: ['ISO_IR 192'] });
    expect(bytes.includes(Buffer.from('GB18030'))).toBe(false);
    expect(bytes.includes(Buffer.from([0xff, 0xff, 0xff, 0xff]))).toBe(false);
    expect(bytes.length % 2).toBe(0);
  });

  it('begins a file with an empty preamble and a true group length', () => {
    const bytes = file({});
    expect(bytes.subarray(0, 128).every((byte) => byte === 0)).toBe(true);
    expect(bytes.toString('latin1', 128, 132)).toBe('DICM');
    const end = 132 + 12 + bytes.readUInt32LE(140);
    expect(bytes.readUInt16LE(end)).toBe(0x0008);
    expect(parseInstanceBytes(bytes).meta).toMatchObject({ transferSyntaxUid: '1.2.840.10008.1.2.1', mediaStorageSopInstanceUid: '1.2.3.4' });
  });

  it('leaves room for values that lie elsewhere, also inside of items, and pads them', () => {
    const attributes: DicomJson = { '54000100': { vr: 'SQ', Value: [{ '54001010': { vr: 'OW' } }] }, '00282000': { vr: 'OB' } };
    const pieces = encodeDataSet(attributes, (path) => ({ '54000100/0/54001010': { length: 6 }, '00282000': { length: 3 } })[path]);
    expect(pieces.filter((piece) => !(piece instanceof Uint8Array))).toEqual([{ length: 3 }, { length: 6 }]);
    const bytes = Buffer.concat(pieces.map((piece) => (piece instanceof Uint8Array ? piece : new Uint8Array(piece.length).fill(7))));
    const whole = Buffer.concat([encodeFileHead({ sopClassUid: '1.2', sopInstanceUid: '1.2.3.4', transferSyntaxUid: '1.2.840.10008.1.2.1' }), ...encodeDataSet<Uint8Array>(UIDS), bytes.subarray(18)]);
    const { attributes: read } = parseInstanceBytes(whole);
    expect(read['00282000']).toEqual({ vr: 'OB', InlineBinary: 'BwcHAA==' });
    expect(read['54000100']).toEqual({ vr: 'SQ', Value: [{ '54001010': { vr: 'OW', InlineBinary: 'BwcHBwcH' } }] });
  });

  it('writes sequences of very many items', () => {
    const items = Array.from({ length: 150_000 }, () => ({}));
    const { attributes } = parseInstanceBytes(file({ '00081140': { vr: 'SQ', Value: items } }));
    expect(attributes['00081140']?.Value).toHaveLength(150_000);
  });

  it('refuses values and items that are longer than 32 bits can say', () => {
    const half = { length: 2 ** 31 };
    const encode = (attributes: DicomJson): unknown => encodeDataSet<{ length: number }>(attributes, (_path, { BulkDataURI }) => (BulkDataURI === undefined ? undefined : half));
    const bulk = { vr: 'OB', BulkDataURI: 'half' };
    expect(encode({ '00420011': bulk, '00282000': bulk })).toContain(half);
    for (const attributes of [{ '00081140': { vr: 'SQ', Value: [{ '00420011': bulk, '00282000': bulk }] } }, { '00081140': { vr: 'SQ', Value: [{ '00420011': bulk }, { '00420011': bulk }] } }]) {
      expect(() => encode(attributes)).toThrow(expect.objectContaining({ code: 'invalid-dicom' }));
    }
  });

  it('writes values that are too long for their VR as UN', () => {
    const values = Array.from({ length: 10_000 }, () => 0.123456);
    const bytes = file({ '00283006': { vr: 'US', Value: Array.from({ length: 40_000 }, (_, i) => i) }, '00200037': { vr: 'DS', Value: values } });
    const { bulkData, attributes } = parseInstanceBytes(bytes);
    expect(attributes['00283006']).toEqual({ vr: 'UN' });
    expect(bulkData.map(({ path, vr }) => [path, vr])).toEqual([['00200037', 'UN'], ['00283006', 'UN']]);
  });

  it('carries a file through reading and writing', () => {
    const original = dicomFile([...imagePixel(1, 2, 16), [0x00200037, 'DS', '0.70710678118654\\-1.5E+20\\1']], { transferSyntax: '1.2.840.10008.1.2' });
    const { attributes } = parseInstanceBytes(original);
    expect(parseInstanceBytes(file(attributes)).attributes).toEqual({ ...attributes, '00080005': { vr: 'CS', Value: ['ISO_IR 192'] } });
  });
});

describe('decimalString', () => {
  it('never needs more than sixteen characters', () => {
    for (const value of [0.1 + 0.2, -1 / 3, 1e20, -1.5e20, 1e-300, -1.23456789012345e-300, 123456789.123456789, -9.87654321098765e300]) {
      const text = decimalString(value);
      expect(text.length).toBeLessThanOrEqual(16);
      expect(Math.abs(Number(text) - value) / Math.abs(value)).toBeLessThan(1e-8);
    }
    expect(decimalString(0.5)).toBe('0.5');
  });
});
