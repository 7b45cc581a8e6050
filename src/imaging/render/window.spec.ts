import { describe, expect, it } from 'vitest';
import type { DicomJson, DicomJsonElement } from '../dicom/dicom-json.js';
import type { PixelArray, PixelFrame } from '../dicom/pixels.js';
import { modalityValues, toDisplay } from './window.js';

function grey(pixels: PixelArray, changes: Partial<PixelFrame> = {}): PixelFrame {
  const signed = pixels instanceof Int8Array || pixels instanceof Int16Array || pixels instanceof Int32Array;
  return { rows: 1, columns: pixels.length, samplesPerPixel: 1, pixels, photometric: 'MONOCHROME2', bitsStored: pixels.BYTES_PER_ELEMENT * 8, signed, ...changes };
}

const element = (vr: string, ...Value: (string | number)[]): DicomJsonElement => ({ vr, Value });
const rescale: DicomJson = { '00281053': element('DS', 2), '00281052': element('DS', -1000) };
const windowed = (center: number, width: number, shape?: string): DicomJson => ({
  '00281050': element('DS', center),
  '00281051': element('DS', width),
  ...(shape === undefined ? {} : { '00281056': element('CS', shape) }),
});
const lut = (descriptor: number[], data: number[]): DicomJson => ({ '00283002': element('US', ...descriptor), '00283006': element('US', ...data) });
const base64 = (...words: number[]): string => Buffer.from(Uint16Array.from(words).buffer).toString('base64');

describe('modalityValues', () => {
  it('applies slope and intercept', () => {
    expect(modalityValues(grey(Int16Array.of(0, 500, -1)), rescale)).toEqual(Float32Array.of(-1000, 0, -1002));
  });

  it('applies a modality LUT and clamps beyond its ends', () => {
    const attributes: DicomJson = { '00283000': { vr: 'SQ', Value: [lut([3, 10, 16], [100, 200, 300])] } };
    expect(modalityValues(grey(Uint16Array.of(0, 10, 11, 12, 99)), attributes)).toEqual(Float32Array.of(100, 100, 200, 300, 300));
  });

  it('ignores a slope of 0', () => {
    expect(modalityValues(grey(Int16Array.of(7)), { '00281053': element('DS', 0) })).toEqual(Float32Array.of(7));
  });
});

describe('toDisplay', () => {
  it('leaves an 8-bit MONOCHROME2 image without VOI attributes as it is', () => {
    const all = Uint8Array.from({ length: 256 }, (_, i) => i);
    expect(toDisplay(grey(all), {}).data).toEqual(all);
    expect(toDisplay(grey(all, { photometric: 'MONOCHROME1' }), {}).data).toEqual(all.toReversed());
  });

  it('windows linearly as PS3.3 C.11.2.1.2.1 writes it', () => {
    const frame = grey(Int16Array.of(-161, -160, 40, 239, 240));
    // c = 40, w = 400: black at or below c − 0.5 − (w − 1)/2 = −160, white above c − 0.5 + (w − 1)/2 = 239
    expect([...toDisplay(frame, windowed(40, 400)).data]).toEqual([0, 0, 128, 255, 255]);
  });

  it('windows exactly, and by a sigmoid', () => {
    expect([...toDisplay(grey(Int16Array.of(-50, 0, 25, 50)), windowed(0, 100, 'LINEAR_EXACT')).data]).toEqual([0, 128, 191, 255]);
    const [low, middle, high] = toDisplay(grey(Int16Array.of(-50, 0, 50)), windowed(0, 100, 'SIGMOID')).data;
    expect([low, middle, high]).toEqual([30, 128, 225]);
  });

  it('prefers the window it is given, in modality units', () => {
    const frame = grey(Int16Array.of(499, 500));
    expect([...toDisplay(frame, { ...rescale, ...windowed(9999, 1) }, { window: { center: 0, width: 1 } }).data]).toEqual([0, 255]);
  });

  it('applies a VOI LUT, its first input signed where the values are', () => {
    const attributes: DicomJson = { '00283010': { vr: 'SQ', Value: [lut([3, 65_535, 8], [0, 128, 255])] } };
    expect([...toDisplay(grey(Int16Array.of(-5, -1, 0, 1, 9)), attributes).data]).toEqual([0, 0, 128, 255, 255]);
  });

  it('inverts once for MONOCHROME1 and the INVERSE presentation shape', () => {
    const inverse: DicomJson = { '20500020': element('CS', 'INVERSE') };
    const pixels = Uint8Array.of(0, 10);
    expect([...toDisplay(grey(pixels, { photometric: 'MONOCHROME1' }), inverse).data]).toEqual([255, 245]);
    expect([...toDisplay(grey(pixels), inverse).data]).toEqual([255, 245]);
  });

  it('finds a window of its own, padding and stray values left aside', () => {
    const pixels = Int16Array.from({ length: 10_000 }, (_, i) => (i < 1000 ? -2000 : i === 5000 ? 30_000 : i % 1000));
    const { data } = toDisplay(grey(pixels), { '00280120': element('SS', -2000) });
    expect(data[0]).toBe(0);
    expect(data[5001]).toBeLessThan(5);
    expect(data[5999]).toBeGreaterThan(240);
  });

  it('shows masks of one bit in black and white, and flat images without dividing by zero', () => {
    expect([...toDisplay(grey(Uint8Array.of(0, 1), { bitsStored: 1 }), {}).data]).toEqual([0, 255]);
    expect([...toDisplay(grey(Int16Array.of(7, 7)), {}).data]).toEqual([128, 128]);
    expect([...toDisplay(grey(Float32Array.of(Number.NaN, Number.NaN)), {}).data]).toHaveLength(2);
  });

  it('expands palettes of 8 and of 16 bits', () => {
    const palette = (bits: number, ...colours: number[][]): DicomJson => Object.fromEntries(colours.flatMap((entries, i): [string, DicomJsonElement][] => [
      [`0028110${String(i + 1)}`, element('US', entries.length, 0, bits)],
      [`0028120${String(i + 1)}`, { vr: 'OW', InlineBinary: base64(...entries) }],
    ]));
    const frame = grey(Uint8Array.of(0, 1, 9), { photometric: 'PALETTE COLOR' });
    expect([...toDisplay(frame, palette(16, [0, 0xff00], [0x8000, 0], [0, 0xffff])).data]).toEqual([0, 128, 0, 255, 0, 255, 255, 0, 255]);
    expect([...toDisplay(frame, palette(8, [0, 255], [128, 0], [0, 255])).data]).toEqual([0, 128, 0, 255, 0, 255, 255, 0, 255]);
    expect(() => toDisplay(frame, {})).toThrow(expect.objectContaining({ code: 'invalid-dicom' }) as Error);
  });

  it('expands segmented palettes', () => {
    // Two entries as they are, three on a line to 1000 × 256, then the first segment again.
    const segments = base64(0, 2, 0, 0x2800, 1, 3, 0xff00, 2, 1, 0, 0);
    const attributes: DicomJson = Object.fromEntries([1, 2, 3].flatMap((i): [string, DicomJsonElement][] => [
      [`0028110${String(i)}`, element('US', 7, 0, 16)],
      [`0028122${String(i)}`, { vr: 'OW', InlineBinary: segments }],
    ]));
    const { data } = toDisplay(grey(Uint8Array.of(0, 1, 2, 3, 4, 5, 6), { photometric: 'PALETTE COLOR' }), attributes);
    expect([...data].filter((_, i) => i % 3 === 0)).toEqual([0, 40, 111, 183, 255, 0, 40]);
  });

  it('brings wide colour down to 8 bits', () => {
    const frame: PixelFrame = { rows: 1, columns: 1, samplesPerPixel: 3, pixels: Uint16Array.of(0, 32_768, 65_535), photometric: 'RGB', bitsStored: 16, signed: false };
    expect([...toDisplay(frame, {}).data]).toEqual([0, 128, 255]);
  });
});
