import { describe, expect, it } from 'vitest';
import { ageYears, personName, text } from './attributes.js';
import { parseInstanceBytes } from './header.js';
import { decodeFrame, frameLocation, type Codec, type PixelFrame } from './pixels.js';
import { ageString, wrapImage, type RasterPixels, type WrapFields } from './wrap-image.js';

const noCodec: Codec = { decode: () => { throw new Error('not expected'); } };
const fields: WrapFields = { modality: 'CR', studyInstanceUid: '1.2.3', seriesInstanceUid: '1.2.3.1', sopInstanceUid: '1.2.3.1.1' };
const grey: RasterPixels = { pixels: Uint8Array.from({ length: 15 }, (_, i) => i * 17), width: 5, height: 3, channels: 1, bits: 8 };

async function pixelsOf(file: Uint8Array): Promise<PixelFrame> {
  const parsed = parseInstanceBytes(file);
  const [range] = frameLocation(parsed, 0);
  return decodeFrame(parsed, file.subarray(range?.offset, (range?.offset ?? 0) + (range?.length ?? 0)), noCodec);
}

describe('wrapImage', () => {
  it('keeps 8- and 16-bit samples to the bit', async () => {
    expect((await pixelsOf(wrapImage(grey, fields))).pixels).toEqual(grey.pixels);
    const wide = { ...grey, bits: 16, pixels: Uint16Array.from(grey.pixels, (value) => value * 257) } as const;
    expect((await pixelsOf(wrapImage(wide, { ...fields, modality: 'DX' }))).pixels).toEqual(wide.pixels);
  });

  it('turns colour into luminance for radiographs and keeps it for secondary captures', async () => {
    const colour = { pixels: Uint8Array.of(255, 0, 0, 77, 77, 77), width: 2, height: 1, channels: 3, bits: 8 } as const;
    expect([...(await pixelsOf(wrapImage(colour, fields))).pixels]).toEqual([76, 77]);
    const captured = await pixelsOf(wrapImage(colour, { ...fields, modality: 'OT' }));
    expect(captured).toMatchObject({ samplesPerPixel: 3, photometric: 'RGB', pixels: colour.pixels });
  });

  it('writes who, what and when, in UTF-8', () => {
    const { attributes, sopClassUid, meta } = parseInstanceBytes(wrapImage(grey, { ...fields, patientName: '王^小東', patientId: 'P1', patientAge: 50, patientSex: 'F', bodyPart: 'CHEST', viewPosition: 'PA', studyDate: '20260102' }));
    expect(sopClassUid).toBe('1.2.840.10008.5.1.4.1.1.1');
    expect(meta).toMatchObject({ transferSyntaxUid: '1.2.840.10008.1.2.1', mediaStorageSopInstanceUid: '1.2.3.1.1' });
    expect(personName(attributes, 'PatientName')).toEqual({ Alphabetic: '王^小東' });
    expect(text(attributes, 'PatientAge')).toBe('050Y');
    expect(ageYears(attributes)).toBe(50);
    expect(text(attributes, 'ConversionType')).toBe('WSD');
    expect(text(attributes, 'ViewPosition')).toBe('PA');
  });

  it('picks the SOP class by modality', () => {
    const sopClass = (modality: string): string => parseInstanceBytes(wrapImage(grey, { ...fields, modality })).sopClassUid;
    expect(sopClass('DX')).toBe('1.2.840.10008.5.1.4.1.1.1.1');
    expect(sopClass('OT')).toBe('1.2.840.10008.5.1.4.1.1.7');
  });

  it('refuses fields that DICOM cannot hold', () => {
    const refused: Partial<WrapFields>[] = [
      { patientId: 'a\\b' }, { patientName: 'x'.repeat(65) }, { patientAge: -1 }, { patientAge: Number.NaN }, { studyDate: '20261301' }, { modality: '' }, { modality: 'cr' },
      { studyInstanceUid: '1.02' }, { viewPosition: 'P\nA' }, { studyTime: '2500' },
    ];
    for (const change of refused) expect(() => wrapImage(grey, { ...fields, ...change })).toThrow(expect.objectContaining({ code: 'invalid-image-fields' }) as Error);
    expect(() => wrapImage({ ...grey, width: 4 }, fields)).toThrow(expect.objectContaining({ code: 'invalid-image' }) as Error);
  });

  it('writes ages below two years in months', () => {
    expect([0, 0.5, 1, 1.5, 2, 7.9, 101].map(ageString)).toEqual(['000M', '006M', '001Y', '018M', '002Y', '007Y', '101Y']);
  });
});
