import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { concat, dicomFile, encapsulated, imagePixel, withElements, type Element, type FileOptions } from '../../../../test/support/dicom-builder.js';
import { parseInstanceBytes, type ParsedInstance } from '../header.js';
import { frameLocation, type PixelFrame } from '../pixels.js';
import { codestreamScrubber } from './codestream-scrubber.js';
import { deidentify } from './deidentify.js';
import { filePlanOf } from './file-plan.js';
import { pseudonymsOf } from './pseudonyms.js';

const pseudonyms = pseudonymsOf((text) => createHmac('sha256', 'k').update(text).digest(), 'P');
const CT: Element[] = [[0x00080016, 'UI', '1.2.840.10008.5.1.4.1.1.2'], [0x00100010, 'PN', 'Doemueller^John'], [0x00100020, 'LO', '4711-0815']];

/** Carries the plan out, in stretches of `step` bytes. */
function written(elements: readonly Element[], file: FileOptions = {}, step = 8, firstFrame?: PixelFrame): { bytes: Buffer; parsed: ParsedInstance } {
  const original = dicomFile(withElements(CT, ...elements), file);
  const parsed = parseInstanceBytes(original);
  const instance = deidentify(parsed, { retainDevice: false, cleanDescriptors: true, longitudinal: 'shift', cleanPixelData: true }, pseudonyms);
  const source = parsed.inflated ?? original;
  const out: Uint8Array[] = [];
  for (const piece of filePlanOf(parsed, instance, firstFrame)) {
    if (piece.kind === 'bytes') out.push(piece.bytes);
    else if (piece.kind === 'frames') out.push(new Uint8Array(piece.length).fill(3));
    else {
      const change = piece.change?.();
      for (let at = 0; at < piece.length; at += step) {
        const stretch = source.subarray(piece.offset + at, piece.offset + Math.min(piece.length, at + step));
        out.push(change?.(stretch, at) ?? stretch);
      }
    }
  }
  const bytes = Buffer.concat(out);
  expect(bytes.length % 2).toBe(0);
  for (const secret of ['Doemueller', '4711', '1.2.3.4']) expect(bytes.includes(secret), secret).toBe(false);
  return { bytes, parsed: parseInstanceBytes(bytes) };
}

function pixelsOf({ bytes, parsed }: { bytes: Buffer; parsed: ParsedInstance }, frame = 0): number[] {
  return frameLocation(parsed, frame).flatMap(({ offset, length }) => [...bytes.subarray(offset, offset + length)]);
}

describe('filePlanOf', () => {
  const grey: Element[] = [...imagePixel(2, 3, 16), [0x7fe00010, 'OW', [1, 2, 3, 4, 5, 258]]];

  it('writes explicit little endian whatever the original was', () => {
    for (const file of [{}, { transferSyntax: '1.2.840.10008.1.2' }, { transferSyntax: '1.2.840.10008.1.2.2' }]) {
      const result = written([...grey, [0x00281101, 'US', [1, 2, 3]]], file);
      expect(result.parsed.meta.transferSyntaxUid).toBe('1.2.840.10008.1.2.1');
      expect(result.parsed.encoding).toEqual({ explicit: true, littleEndian: true });
      expect(pixelsOf(result)).toEqual([1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 2, 1]);
      expect(result.parsed.attributes['00281101']?.Value).toEqual([1, 2, 3]);
      expect(result.parsed.meta.mediaStorageSopInstanceUid).toBe(result.parsed.sopInstanceUid);
    }
  });

  it('turns long tables and float samples of big endian files round', () => {
    const table = Uint8Array.from({ length: 4000 }, (_, i) => i & 0xff);
    const { parsed, bytes } = written([...grey, [0x00283006, 'OW', table]], { transferSyntax: '1.2.840.10008.1.2.2' });
    const entry = parsed.bulkData.find(({ path }) => path === '00283006');
    expect([...bytes.subarray(entry?.offset ?? 0, (entry?.offset ?? 0) + 4)]).toEqual([1, 0, 3, 2]);
  });

  it('keeps compressed frames, their tables and their order', () => {
    const frames = [Buffer.from('ffd8ffd9', 'hex'), Buffer.from('ffd8ffda00020102ffd9', 'hex')];
    const result = written([...imagePixel(2, 3), [0x00280008, 'IS', '2'], [0x7fe00010, 'OB', encapsulated(frames, [0, 12]), { undefinedLength: true }]], { transferSyntax: '1.2.840.10008.1.2.4.50' });
    expect(result.parsed.meta.transferSyntaxUid).toBe('1.2.840.10008.1.2.4.50');
    expect(result.parsed.pixelData).toMatchObject({ encoding: 'encapsulated', basicOffsets: [0, 12] });
    expect([0, 1].map((frame) => Buffer.from(pixelsOf(result, frame)).toString('hex'))).toEqual(frames.map((frame) => frame.toString('hex')));
  });

  it('drops what stands behind the pixel data', () => {
    const { bytes } = written(grey, { transform: (dataSet) => concat([dataSet, Buffer.from('fcfffcff', 'hex'), Buffer.from('OB\0\0'), Uint8Array.of(10, 0, 0, 0), Buffer.from('Doemueller')]) });
    expect(bytes.includes('Doemueller')).toBe(false);
  });

  it('writes decoded frames natively, and says so', () => {
    const frame: PixelFrame = { rows: 2, columns: 3, samplesPerPixel: 3, pixels: new Uint8Array(18), photometric: 'RGB', bitsStored: 8, signed: false };
    const { parsed } = written([...withElements(imagePixel(2, 3), [0x00280002, 'US', [3]], [0x00280004, 'CS', 'YBR_FULL_422'], [0x00280006, 'US', [0]]), [0x00280008, 'IS', '2'], [0x7fe00010, 'OB', encapsulated([Buffer.from('ffd8', 'hex'), Buffer.from('ffd8', 'hex')]), { undefinedLength: true }]],
      { transferSyntax: '1.2.840.10008.1.2.4.50' }, 8, frame);
    expect(parsed.meta.transferSyntaxUid).toBe('1.2.840.10008.1.2.1');
    expect(parsed.pixelData).toMatchObject({ encoding: 'native', length: 36, vr: 'OB' });
    expect(parsed.attributes['00280004']?.Value).toEqual(['RGB']);
  });
});

describe('codestreamScrubber', () => {
  const scrubbed = (parts: readonly (string | Uint8Array)[], step: number): Buffer => {
    const bytes = Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'hex') : part)));
    const scrub = codestreamScrubber();
    for (let at = 0; at < bytes.length; at += step) scrub(bytes.subarray(at, at + step));
    return bytes;
  };
  const name = Buffer.from('Doemueller');
  const length = '000c';

  it('blanks remarks and leaves the image alone', () => {
    for (const step of [1, 2, 3, 7, 1000]) {
      const jpeg = scrubbed(['ffd8', 'ffe0', length, Buffer.from('JFIF------'), 'fffe', length, name, 'ffffe1', length, name, 'ffdb', length, Buffer.alloc(10, 5), 'ffda', '0002', name, 'ffd9'], step);
      expect(jpeg.toString('latin1').split('Doemueller')).toHaveLength(2);
      expect(jpeg.includes('JFIF------')).toBe(true);
      expect(jpeg.subarray(-12, -2).toString()).toBe('Doemueller');
      const j2k = scrubbed(['ff4f', 'ff51', length, Buffer.alloc(10, 5), 'ff64', '000e', '0001', name, 'ff90', name], step);
      expect(j2k.toString('latin1').split('Doemueller')).toHaveLength(2);
      expect(j2k.includes(Buffer.from('ff64000e0001', 'hex'))).toBe(true);
      const jp2 = scrubbed(['0000000c6a5020200d0a870a', '00000012', Buffer.from('xml '), name, '00000000', Buffer.from('jp2c'), 'ff4f', 'ff64', '000e', '0001', name, 'ff90'], step);
      expect(jp2.includes('Doemueller')).toBe(false);
    }
  });

  it('ends on anything', () => {
    for (const bytes of ['', 'ff', 'ffd8', 'ffd8ffff', 'ffd8fffe0000', 'ff4fff640001', '0000000c6a5020200d0a870a00000001', '0000000c6a5020200d0a870a000000030000000000', '1234567890']) expect(scrubbed([bytes], 1).toString('hex')).toBe(bytes);
  });
});
