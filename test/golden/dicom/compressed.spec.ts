import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import codecs from 'dcmjs-codecs';
import { describe, expect, it } from 'vitest';
import { dicomFile, encapsulated, imagePixel, withElements, type Element } from '../../support/dicom-builder.js';
import { parseInstanceBytes } from '../../../src/imaging/dicom/header.js';
import { decodeFrame, frameLocation, type PixelFrame } from '../../../src/imaging/dicom/pixels.js';
import { nativeCodec } from '../../../src/platform/threads/codecs.js';

const ROWS = 12;
const COLUMNS = 17;
const here = dirname(fileURLToPath(import.meta.url));
const compressed = JSON.parse(readFileSync(join(here, 'compressed.json'), 'utf8')) as Record<string, string>;

/** The formulas of make_compressed.py. */
const PHANTOMS: Record<string, (x: number, y: number) => number[]> = {
  grey8: (x, y) => [40 + 10 * x + 4 * y + ((x * y) % 3)],
  grey12: (x, y) => [100 + 150 * x + 90 * y + ((x * y) % 7)],
  signed16: (x, y) => [-1000 + 150 * x + 90 * y + ((x * y) % 7)],
  colour: (x, y) => [40 + 10 * x, 250 - 15 * y, 10 + ((x * y) % 200)],
};

function phantom(name: string): number[] {
  const out: number[] = [];
  for (let y = 0; y < ROWS; y++) for (let x = 0; x < COLUMNS; x++) out.push(...(PHANTOMS[name]?.(x, y) ?? []));
  return out;
}

/** Largest difference that the lossy forms may show, in stored units; all others must agree to the bit. */
const TOLERANCE: Record<string, number> = { 'grey8 baseline': 2, 'grey12 extended': 4, 'grey12 near': 2, 'colour baseline-444': 4, 'colour baseline-rgb': 2 };

async function decode(file: Uint8Array): Promise<PixelFrame> {
  const parsed = parseInstanceBytes(file);
  return decodeFrame(parsed, Buffer.concat(frameLocation(parsed, 0).map(({ offset, length }) => file.subarray(offset, offset + length))), nativeCodec);
}

function largestDifference(frame: PixelFrame, expected: readonly number[]): number {
  expect(frame.pixels).toHaveLength(expected.length);
  return Math.max(...expected.map((value, i) => Math.abs(value - (frame.pixels[i] ?? Number.NaN))));
}

describe('Files that DCMTK and GDCM compressed', () => {
  for (const [name, base64] of Object.entries(compressed)) {
    const tolerance = TOLERANCE[name] ?? 0;
    it(`decode: ${name}${tolerance === 0 ? ', bit for bit' : `, within ${String(tolerance)}`}`, async () => {
      const frame = await decode(Buffer.from(base64, 'base64'));
      expect(frame.signed).toBe(name.startsWith('signed'));
      expect(largestDifference(frame, phantom(name.split(' ')[0] ?? ''))).toBeLessThanOrEqual(tolerance);
    });
  }
});

describe('HTJ2K', () => {
  // No other encoder of it is at hand, so OpenJPH writes; OpenJPEG, which is apart from it, must read the same from the stream.
  for (const [name, transferSyntax] of [['grey12', '201'], ['signed16', '202'], ['colour', '203']] as const) {
    it(`decodes ${name}, and OpenJPEG agrees`, async () => {
      await codecs.NativeCodecs.initializeAsync();
      const wide = name !== 'colour';
      const samples = wide ? Int16Array.from(phantom(name)) : Uint8Array.from(phantom(name));
      const encoded = codecs.NativeCodecs.encodeHtJpeg2000(
        new codecs.Context({
          width: COLUMNS, height: ROWS, bitsAllocated: wide ? 16 : 8, bitsStored: wide ? 16 : 8, samplesPerPixel: wide ? 1 : 3, pixelRepresentation: name === 'signed16' ? 1 : 0,
          planarConfiguration: 0, photometricInterpretation: wide ? 'MONOCHROME2' : 'RGB', decodedBuffer: new Uint8Array(samples.buffer),
        }),
        { lossy: false, progressionOrder: 2 },
      ).getEncodedBuffer();
      const bits: Element[] = wide ? [] : [[0x00280002, 'US', [3]], [0x00280004, 'CS', 'RGB'], [0x00280006, 'US', [0]]];
      const elements = withElements(imagePixel(ROWS, COLUMNS, wide ? 16 : 8), ...bits, [0x00280103, 'US', [name === 'signed16' ? 1 : 0]], [
        0x7fe00010, 'OB', encapsulated([encoded ?? new Uint8Array(0)]), { undefinedLength: true },
      ]);
      for (const suffix of [transferSyntax, '90']) {
        const frame = await decode(dicomFile(elements, { transferSyntax: `1.2.840.10008.1.2.4.${suffix}` }));
        expect(largestDifference(frame, phantom(name))).toBe(0);
      }
    });
  }
});
