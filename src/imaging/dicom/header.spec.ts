import { deflateRawSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { dicomFile, encapsulated, encodeDataSet, imagePixel, UIDS, type Element } from '../../../test/support/dicom-builder.js';
import { AppError } from '../../kernel/errors.js';
import { numbers, sequence, strings, text } from './attributes.js';
import { parseInstance, parseInstanceBytes, type ParsedInstance } from './header.js';

function refusal(bytes: Uint8Array): string {
  try {
    parseInstanceBytes(bytes);
  } catch (error) {
    if (error instanceof AppError) return error.code;
    throw error;
  }
  return 'accepted';
}

/** Runs the coroutine and counts what it asked for. */
function drive(bytes: Uint8Array): { parsed: ParsedInstance; requested: number; offsets: number[] } {
  const parser = parseInstance(bytes.length);
  let requested = 0;
  const offsets: number[] = [];
  let step = parser.next();
  while (step.done !== true) {
    const { offset, length } = step.value;
    requested += length;
    offsets.push(offset);
    step = parser.next(bytes.subarray(offset, offset + length));
  }
  return { parsed: step.value, requested, offsets };
}

const NESTED: Element = [0x00081140, 'SQ', [[[0x00081150, 'UI', '1.2.840.10008.5.1.4.1.1.2'], [0x00081199, 'SQ', [[[0x00080100, 'SH', 'A']], []]]], []]];

describe('parseInstance', () => {
  for (const [name, transferSyntax] of [['implicit', '1.2.840.10008.1.2'], ['explicit little', '1.2.840.10008.1.2.1'], ['explicit big', '1.2.840.10008.1.2.2']] as const) {
    it(`reads the same values from ${name} endian, defined and undefined lengths`, () => {
      for (const undefinedLength of [false, true]) {
        const file = dicomFile([[...NESTED.slice(0, 3), { undefinedLength }] as unknown as Element, [0x00280010, 'US', [513]], [0x00280030, 'DS', '0.5\\-1e-1'], [0x00200037, 'DS', '1\\0\\0\\0\\1\\0']], { transferSyntax });
        const { attributes } = parseInstanceBytes(file);
        expect(numbers(attributes, 'Rows')).toEqual([513]);
        expect(numbers(attributes, 'PixelSpacing')).toEqual([0.5, -0.1]);
        expect(sequence(attributes, '00081140')).toHaveLength(2);
        expect(sequence(sequence(attributes, '00081140')[0] ?? {}, '00081199')[0]).toEqual({ '00080100': { vr: 'SH', Value: ['A'] } });
      }
    });
  }

  it('reads files without preamble or meta information when they begin as a data set does', () => {
    for (const options of [{ explicit: true }, { explicit: false }, { explicit: true, littleEndian: false }]) {
      const { meta, encoding, isBare } = parseInstanceBytes(dicomFile([], { bare: true, ...options }));
      expect([isBare, parseInstanceBytes(dicomFile([])).isBare]).toEqual([true, undefined]);
      expect(encoding).toEqual({ littleEndian: true, ...options });
      expect(meta.transferSyntaxUid).toMatch(/^1\.2\.840\.10008\.1\.2/);
    }
  });

  it('believes the data set when the transfer syntax declares another VR form', () => {
    const parsed = parseInstanceBytes(dicomFile([[0x00100020, 'LO', 'P1']], { transferSyntax: '1.2.840.10008.1.2.1', explicit: false }));
    expect(text(parsed.attributes, 'PatientID')).toBe('P1');
  });

  it('asks for little of a large file and never goes back', () => {
    const file = dicomFile([...imagePixel(2048, 2048, 16), [0x00091010, 'OB', new Uint8Array(3_000_000)], [0x7fe00010, 'OW', new Uint8Array(8_388_608)]]);
    const { parsed, requested, offsets } = drive(file);
    expect(requested).toBeLessThan(300_000);
    expect(offsets).toEqual([...offsets].sort((a, b) => a - b));
    expect(parsed.bulkData).toEqual([expect.objectContaining({ path: '00091010', length: 3_000_000 })]);
    expect(parsed.attributes['00091010']).toEqual({ vr: 'OB' });
    expect(parsed.pixelData).toMatchObject({ encoding: 'native', length: 8_388_608 });
    expect(parsed.headerLength).toBe(file.length - 8_388_608 - 12);
  });

  it('grows its window for a long sequence', () => {
    const items = Array.from({ length: 20_000 }, (_, i): Element[] => [[0x00081155, 'UI', `1.2.${String(i)}`]]);
    for (const undefinedLength of [true, false]) {
      const { parsed, requested } = drive(dicomFile([[0x00081140, 'SQ', items, { undefinedLength }]]));
      expect(sequence(parsed.attributes, '00081140')).toHaveLength(20_000);
      expect(requested).toBeLessThan(3_000_000);
    }
  });

  it('locates fragments by their headers alone', () => {
    const fragments = [new Uint8Array(1_000_000), new Uint8Array(500_000).fill(0xff)];
    const file = dicomFile([...imagePixel(4, 4), [0x7fe00010, 'OB', encapsulated(fragments, [0, 1_000_008]), { undefinedLength: true }]], { transferSyntax: '1.2.840.10008.1.2.4.50' });
    const { parsed, requested } = drive(file);
    expect(requested).toBeLessThan(100_000);
    expect(parsed.pixelData).toMatchObject({ basicOffsets: [0, 1_000_008], fragments: [{ length: 1_000_000 }, { length: 500_000 }] });
  });

  it('reads sequences that a relay without dictionary wrote as UN', () => {
    const inner: Element[] = [[0x00081150, 'UI', '1.2.3']];
    const value = encodeDataSet([[0x00081140, 'SQ', [inner]]], { explicit: false, littleEndian: true }).subarray(8);
    const asUnknown = parseInstanceBytes(dicomFile([[0x00081140, 'UN', value], [0x00100010, 'UN', Buffer.from('A^B ')]]));
    expect(text(sequence(asUnknown.attributes, '00081140')[0] ?? {}, '00081150')).toBe('1.2.3');
    expect(text(asUnknown.attributes, 'PatientName')).toBe('A^B');
  });

  it('keeps values with empty and odd parts', () => {
    const { attributes } = parseInstanceBytes(dicomFile([[0x00080008, 'CS', 'ORIGINAL\\\\AXIAL'], [0x00280008, 'IS', '1A'], [0x00189073, 'FD', [Number.NaN]], [0x00104000, 'LT', ' a\\b  ']]));
    expect(attributes['00080008']?.Value).toEqual(['ORIGINAL', null, 'AXIAL']);
    expect(strings(attributes, '00280008')).toEqual(['1A']);
    expect(attributes['00189073']?.Value).toEqual(['NaN']);
    expect(attributes['00104000']?.Value).toEqual([' a\\b']);
  });

  it('inflates deflated data sets and counts offsets in them', () => {
    const pixels = new Uint8Array(100).map((_, i) => i);
    const file = dicomFile([...imagePixel(10, 10), [0x7fe00010, 'OB', pixels]], { transferSyntax: '1.2.840.10008.1.2.1.99', transform: (bytes) => new Uint8Array(deflateRawSync(bytes)) });
    const parsed = parseInstanceBytes(file);
    const location = parsed.pixelData;
    expect(location?.encoding === 'native' && parsed.inflated?.subarray(location.offset, location.offset + location.length)).toEqual(Buffer.from(pixels));
    expect(refusal(file.subarray(0, file.length - 20))).toBe('truncated-file');
  });

  it('refuses a deflate bomb', () => {
    const bomb = dicomFile([], { transferSyntax: '1.2.840.10008.1.2.1.99', transform: () => new Uint8Array(deflateRawSync(new Uint8Array(80 << 20))) });
    expect(refusal(bomb)).toBe('archive-bomb');
  });

  it('names what is wrong with a file', () => {
    const without = (tag: number): Uint8Array => dicomFile(UIDS.map(([t, vr, value]): Element => (t === tag ? [t, vr, ''] : [t, vr, value])));
    expect(refusal(new Uint8Array(0))).toBe('empty-file');
    expect(refusal(Buffer.from('%PDF-1.7 something that is no DICOM at all'))).toBe('not-dicom');
    expect(refusal(new Uint8Array(5000))).toBe('not-dicom');
    expect(refusal(without(0x00080016))).toBe('missing-sop-class');
    for (const tag of [0x00080018, 0x0020000d, 0x0020000e]) expect(refusal(without(tag))).toBe('missing-uid');
    expect(refusal(dicomFile([[0x0020000d, 'UI', '../../etc/passwd']]))).toBe('missing-uid');
    expect(refusal(dicomFile([[0x7fe00010, 'OW', new Uint8Array(10), { length: 100 }]]))).toBe('truncated-file');
    expect(refusal(dicomFile([[0x00100020, 'LO', 'P1', { length: 500 }]]))).toBe('truncated-file');
    const fragments = [new Uint8Array(10)];
    expect(refusal(dicomFile([[0x7fe00010, 'OB', encapsulated(fragments, [], false), { undefinedLength: true }]]))).toBe('truncated-file');
    expect(refusal(dicomFile([[0x00081140, 'SQ', [[[0x00100020, 'LO', 'P1', { length: 500 }]]]], [0x00100020, 'LO', 'x'.repeat(2000)]]))).toBe('invalid-dicom');
  });

  it('bounds the depth of nesting', () => {
    let element: Element = [0x00081140, 'SQ', []];
    for (let i = 0; i < 100; i++) element = [0x00081140, 'SQ', [[element]]];
    expect(refusal(dicomFile([element]))).toBe('invalid-dicom');
  });

  it('leaves long texts and texts of too many values in the file', () => {
    const long = 'x'.repeat(64 * 1024);
    const { attributes, bulkData } = parseInstanceBytes(dicomFile([
      [0x00211001, 'UT', long], [0x00211002, 'UT', `${long}xx`], [0x00211003, 'UC', Buffer.alloc(8 << 20, '\\')], [0x00211004, 'UC', Buffer.alloc(4 << 20, 0x1b)], [0x00280010, 'US', [7]],
    ]));
    expect(attributes['00211001']?.Value).toEqual([long]);
    for (const tag of ['00211002', '00211003', '00211004']) expect(attributes[tag]).not.toHaveProperty('Value');
    expect(bulkData.map(({ path, vr, length }) => [path, vr, length])).toEqual([['00211002', 'UT', 65_538], ['00211003', 'UC', 8 << 20], ['00211004', 'UC', 4 << 20]]);
    expect(numbers(attributes, 'Rows')).toEqual([7]);
  });

  it('keeps some mebibytes of values in all, and the identifiers behind them', () => {
    const text = Buffer.alloc(60_000, 'x');
    const many = Array.from({ length: 400 }, (_, i): Element => [0x00091000 + i, 'UT', text]);
    const { attributes, bulkData, studyInstanceUid } = parseInstanceBytes(dicomFile([...many, ...imagePixel(4, 4)]));
    expect(studyInstanceUid).toBe('1.2.3');
    expect(numbers(attributes, 'Rows')).toEqual([4]);
    expect(bulkData.length).toBeGreaterThan(250);
    expect(JSON.stringify(attributes).length).toBeLessThan(8 << 20);
  });

  it.each([['backslashes', 'LO', Buffer.alloc(60_000, 'a\\')], ['names', 'PN', Buffer.alloc(60_000, 'a=b=c\\')], ['character sets', 'LO', Buffer.alloc(60_000, '\u001b$B;3 ')]] as const)('bounds what %s are decoded to', (_name, vr, value) => {
    const charset: Element = [0x00080005, 'CS', '\\ISO 2022 IR 87'];
    const items = Array.from({ length: 100 }, (): Element[] => [[0x00091020, vr, value], [0x00091021, vr, value]]);
    const { attributes, bulkData } = parseInstanceBytes(dicomFile([charset, [0x00111010, 'SQ', items], [0x00280030, 'DS', '1\\2']]));
    expect(bulkData.length).toBeGreaterThan(100);
    expect(numbers(attributes, 'PixelSpacing')).toEqual([1, 2]);
  });

  it('refuses more elements, items or fragments than a device writes', () => {
    const tail = (unit: Uint8Array, count: number, head: Uint8Array = new Uint8Array(0)): Uint8Array => dicomFile([], { transform: (dataSet) => Buffer.concat([dataSet, head, Buffer.alloc(unit.length * count, unit)]) });
    const item = Uint8Array.of(0xfe, 0xff, 0, 0xe0, 0, 0, 0, 0);
    const open = Uint8Array.of(0x21, 0, 1, 0x10, 0x53, 0x51, 0, 0, 0xff, 0xff, 0xff, 0xff);
    expect(refusal(tail(item, 900_000, open))).toBe('invalid-dicom');
    expect(refusal(tail(Uint8Array.of(0x21, 0, 1, 0x10, 0x4c, 0x4f, 0, 0), 1_600_000))).toBe('invalid-dicom');
    expect(refusal(tail(item, 900_000, Uint8Array.of(0xe0, 0x7f, 0x10, 0, 0x4f, 0x42, 0, 0, 0xff, 0xff, 0xff, 0xff)))).toBe('invalid-dicom');
  });

  it('accepts UIDs with leading zeros, as some devices write them', () => {
    expect(parseInstanceBytes(dicomFile([[0x0020000d, 'UI', '1.2.826.012']])).studyInstanceUid).toBe('1.2.826.012');
  });

  it('does not run away on a file that is all empty elements', () => {
    const started = performance.now();
    expect(refusal(dicomFile([[0x00091001, 'UN', new Uint8Array(0)]], { transform: (head) => Buffer.concat([head, Buffer.alloc(16 << 20)]) }))).toMatch(/invalid-dicom|accepted/);
    expect(performance.now() - started).toBeLessThan(5000);
  });
});
