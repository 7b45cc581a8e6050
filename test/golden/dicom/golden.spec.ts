import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { AppError } from '../../../src/kernel/errors.js';
import { personName } from '../../../src/imaging/dicom/attributes.js';
import type { PersonName } from '../../../src/imaging/dicom/dicom-json.js';
import { parseInstanceBytes } from '../../../src/imaging/dicom/header.js';
import { decodeFrame, frameCount, frameLocation, type PixelArray } from '../../../src/imaging/dicom/pixels.js';
import { nativeCodec } from '../../../src/platform/threads/codecs.js';
import { DATA, sharedFile } from '../../support/shared-data.js';

interface Golden {
  refused?: string;
  shape?: number[];
  dtype?: string;
  sha256?: string;
  step?: number;
  samples?: number[];
  patientName?: PersonName;
}

/** Rounding of the inverse cosine transform and of the colour conversion, and the interpolation of halved chroma at edges. */
const MAX_DIFFERENCE = 4;

const here = dirname(fileURLToPath(import.meta.url));
const golden = JSON.parse(readFileSync(join(here, 'golden.json'), 'utf8')) as Record<string, Golden>;
const folder = sharedFile(DATA, 'dicom-edge-cases');

async function decodeAll(file: string): Promise<{ shape: number[]; dtype: string; pixels: PixelArray[] }> {
  const bytes = readFileSync(file);
  const parsed = parseInstanceBytes(bytes);
  const frames = frameCount(parsed);
  const pixels: PixelArray[] = [];
  let shape: number[] = [];
  for (let index = 0; index < frames; index++) {
    const parts = frameLocation(parsed, index).map(({ offset, length }) => (parsed.inflated ?? bytes).subarray(offset, offset + length));
    const frame = await decodeFrame(parsed, Buffer.concat(parts), nativeCodec, index);
    pixels.push(frame.pixels);
    shape = [...(frames > 1 ? [frames] : []), frame.rows, frame.columns, ...(frame.samplesPerPixel > 1 ? [frame.samplesPerPixel] : [])];
  }
  return { shape, dtype: (pixels[0]?.constructor.name ?? '').replace('Array', '').toLowerCase(), pixels };
}

describe.skipIf(folder === undefined)('The pydicom test files', () => {
  for (const [name, expected] of Object.entries(golden)) {
    const file = join(folder ?? '', name);

    if (expected.refused !== undefined) {
      it(`${name} is refused with ${expected.refused}`, async () => {
        const error: unknown = await decodeAll(file).catch((reason: unknown) => reason);
        expect(error).toBeInstanceOf(AppError);
        expect(error).toHaveProperty('code', expected.refused);
      });
    } else {
      it(`${name} decodes to the pixels of pydicom and GDCM${expected.sha256 === undefined ? ` within ${String(MAX_DIFFERENCE)} grey levels` : ', bit for bit'}`, async () => {
        const { shape, dtype, pixels } = await decodeAll(file);
        expect({ shape, dtype }).toEqual({ shape: expected.shape, dtype: expected.dtype });
        if (expected.sha256 !== undefined) {
          const hash = createHash('sha256');
          for (const frame of pixels) hash.update(new Uint8Array(frame.buffer, frame.byteOffset, frame.byteLength));
          expect(hash.digest('hex')).toBe(expected.sha256);
          return;
        }
        const step = expected.step ?? 1;
        const differences = (expected.samples ?? []).map((value, i) => Math.abs(value - (pixels[0]?.[i * step] ?? Number.NaN)));
        expect(differences.length).toBeGreaterThan(8);
        expect(Math.max(...differences)).toBeLessThanOrEqual(MAX_DIFFERENCE);
      });
    }

    if (expected.patientName !== undefined) {
      it(`${name} gives the patient's name as pydicom reads it`, () => {
        expect(personName(parseInstanceBytes(readFileSync(file)).attributes, 'PatientName')).toEqual(expected.patientName);
      });
    }
  }

  it('are all covered', () => {
    expect(Object.keys(golden)).toHaveLength(61);
    for (const name of Object.keys(golden)) expect(existsSync(join(folder ?? '', name))).toBe(true);
  });
});
