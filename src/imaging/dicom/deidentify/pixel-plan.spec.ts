import { describe, expect, it } from 'vitest';
import { dicomFile, encapsulated, imagePixel, withElements, type Element } from '../../../../test/support/dicom-builder.js';
import { parseInstanceBytes } from '../header.js';
import { describePixels, type PixelFrame } from '../pixels.js';
import { blackOutFrame, blackRuns, decodedImagePixel, nativePainter } from './black-out.js';
import { burnedInRectangles } from './burned-in-templates.js';
import { objectKindOf } from './object-kinds.js';
import { pixelPlanOf, type PixelPlan } from './pixel-plan.js';

const US = '1.2.840.10008.5.1.4.1.1.6.1';

function plan(elements: readonly Element[], cleans = true, transferSyntax = '1.2.840.10008.1.2.1'): PixelPlan {
  const parsed = parseInstanceBytes(dicomFile(elements, { transferSyntax }));
  return pixelPlanOf(parsed, objectKindOf(parsed.sopClassUid), cleans);
}

function region(x0: number, y0: number, x1: number, y1: number): Element[] {
  return [[0x00186018, 'UL', [x0]], [0x0018601a, 'UL', [y0]], [0x0018601c, 'UL', [x1]], [0x0018601e, 'UL', [y1]]];
}

const ultrasound: Element[] = [[0x00080016, 'UI', US], [0x00080060, 'CS', 'US'], ...imagePixel(10, 8), [0x7fe00010, 'OB', new Uint8Array(80)]];

describe('pixelPlanOf', () => {
  it('keeps of an ultrasound image the regions that it declares', () => {
    expect(plan([...ultrasound, [0x00186011, 'SQ', [region(1, 2, 6, 8), region(0, 0, 0, 0)]]])).toEqual({ kind: 'paint', area: { keep: [{ x: 1, y: 2, width: 6, height: 7 }, { x: 0, y: 0, width: 1, height: 1 }], black: [] } });
  });

  it('does not believe regions that leave no room for a banner, or that lie outside', () => {
    for (const items of [[region(0, 0, 7, 9)], [region(1, 2, 6, 8), region(6, 2, 1, 8)], [region(9, 2, 12, 8)]]) expect(() => plan([...ultrasound, [0x00186011, 'SQ', items]])).toThrow('ultrasound');
  });

  it('blacks out by a template of the device', () => {
    const device: Element[] = [[0x00080070, 'LO', 'Philips Medical Systems'], [0x00081090, 'LO', 'iU22'], ...imagePixel(600, 800), [0x7fe00010, 'OB', new Uint8Array(480_000)]];
    expect(plan(withElements(ultrasound, ...device))).toEqual({ kind: 'paint', area: { black: [{ x: 0, y: 0, width: 800, height: 59 }] } });
    expect(plan([[0x00080016, 'UI', '1.2.840.10008.5.1.4.1.1.2'], [0x00080060, 'CS', 'CT'], [0x00080008, 'CS', 'DERIVED\\SECONDARY\\SCREEN SAVE'], [0x0008103e, 'LO', 'Dose Report'], [0x00080070, 'LO', 'GE MEDICAL SYSTEMS'], [0x00081090, 'LO', 'Revolution'], ...imagePixel(512, 512), [0x7fe00010, 'OB', new Uint8Array(512 * 512)]]))
      .toMatchObject({ kind: 'paint', area: { black: [{ y: 0, height: 200, width: 512 }] } });
  });

  it('decodes what cannot be painted in place', () => {
    const regions: Element = [0x00186011, 'SQ', [region(1, 2, 6, 8)]];
    expect(plan([...withElements(ultrasound, [0x7fe00010, 'OB', encapsulated([new Uint8Array(4)]), { undefinedLength: true }]), regions], true, '1.2.840.10008.1.2.4.50').kind).toBe('decode');
    expect(plan([...withElements(ultrasound, ...imagePixel(10, 8, 16), [0x7fe00010, 'OW', new Uint8Array(160)]), regions], true, '1.2.840.10008.1.2.2').kind).toBe('decode');
  });

  it('decodes images with overlays in their unused bits', () => {
    const ct: Element[] = [[0x00080016, 'UI', '1.2.840.10008.5.1.4.1.1.2'], ...imagePixel(2, 2, 16, 12), [0x60000100, 'US', [16]], [0x60000102, 'US', [12]], [0x7fe00010, 'OW', [1, 2, 3, 4]]];
    expect(plan(ct)).toEqual({ kind: 'decode', area: { black: [] } });
    expect(plan(ct, false)).toEqual({ kind: 'decode', area: { black: [] } });
    expect(plan(withElements(ct, [0x60000102, 'US', [0]]))).toEqual({ kind: 'copy' });
  });

  it('leaves objects without pixels and plain images alone', () => {
    expect(plan([[0x00080016, 'UI', '1.2.840.10008.5.1.4.1.1.88.33']])).toEqual({ kind: 'none' });
    expect(plan([[0x00080016, 'UI', '1.2.840.10008.5.1.4.1.1.4'], ...imagePixel(2, 2), [0x7fe00010, 'OB', [1, 2, 3, 4]]])).toEqual({ kind: 'copy' });
  });
});

describe('burnedInRectangles', () => {
  it('wants the size that the template was made for', () => {
    const image = { modality: 'US', manufacturer: 'SIEMENS', model: 'ANTARES', seriesDescription: '', imageType: '', rows: 768, columns: 1024 };
    expect(burnedInRectangles(image)).toHaveLength(3);
    expect(burnedInRectangles({ ...image, columns: 800 })).toBeUndefined();
    expect(burnedInRectangles({ ...image, manufacturer: 'Unknown' })).toBeUndefined();
  });
});

describe('blackRuns', () => {
  it('joins what is black and what lies outside', () => {
    const area = { keep: [{ x: 2, y: 1, width: 3, height: 2 }, { x: 4, y: 1, width: 2, height: 1 }], black: [{ x: 3, y: 1, width: 1, height: 1 }] };
    expect(blackRuns(area, 0, 8)).toEqual([[0, 8]]);
    expect(blackRuns(area, 1, 8)).toEqual([[0, 2], [3, 4], [6, 8]]);
    expect(blackRuns(area, 2, 8)).toEqual([[0, 2], [5, 8]]);
    expect(blackRuns({ black: [{ x: -3, y: 0, width: 5, height: 1 }] }, 0, 1)).toEqual([[0, 1]]);
  });
});

describe('nativePainter', () => {
  const area = { keep: [{ x: 1, y: 1, width: 2, height: 1 }], black: [] };

  function painted(elements: readonly Element[], pixels: Uint8Array, stretch: number): Uint8Array {
    const parsed = parseInstanceBytes(dicomFile([...elements, [0x7fe00010, 'OW', pixels]]));
    const paint = nativePainter(describePixels(parsed), area);
    const out = Uint8Array.from(pixels);
    for (let at = 0; at < out.length; at += stretch) paint(out.subarray(at, at + stretch), at);
    return out;
  }

  it('gives the same whatever the stretches are', () => {
    const grey = Uint8Array.from({ length: 2 * 3 * 4 * 2 }, (_, i) => i + 1);
    const elements: Element[] = [...imagePixel(3, 4, 16), [0x00280008, 'IS', '2']];
    const whole = painted(elements, grey, 1000);
    expect([...whole.subarray(0, 24)]).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11, 12, 13, 14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    expect([...whole.subarray(34, 38)]).toEqual([35, 36, 37, 38]);
    for (const stretch of [1, 2, 3, 5, 7, 11]) expect(painted(elements, grey, stretch)).toEqual(whole);
  });

  it('knows what black is in each form', () => {
    const colour = (photometric: string, planar: number): Element[] => withElements(imagePixel(2, 4), [0x00280002, 'US', [3]], [0x00280004, 'CS', photometric], [0x00280006, 'US', [planar]]);
    const bytes = new Uint8Array(24).fill(9);
    expect([...painted(colour('RGB', 0), bytes, 5)].join('')).toBe('000000000000000999999000');
    expect([...painted(colour('RGB', 1), bytes, 5)].join('')).toBe('000009900000099000000990');
    expect([...painted(colour('YBR_FULL', 0), bytes, 5).subarray(0, 6)]).toEqual([0, 128, 128, 0, 128, 128]);
    expect([...painted(colour('YBR_FULL', 1), bytes, 5)]).toEqual([0, 0, 0, 0, 0, 9, 9, 0, 128, 128, 128, 128, 128, 9, 9, 128, 128, 128, 128, 128, 128, 9, 9, 128]);
    expect([...painted(withElements(imagePixel(2, 4, 16, 12), [0x00280004, 'CS', 'MONOCHROME1']), new Uint8Array(16), 3).subarray(0, 4)]).toEqual([0xff, 0x0f, 0xff, 0x0f]);
    expect([...painted(withElements(imagePixel(2, 4, 16, 12), [0x00280103, 'US', [1]]), new Uint8Array(16), 3).subarray(0, 4)]).toEqual([0x00, 0xf8, 0x00, 0xf8]);
  });
});

describe('blackOutFrame', () => {
  it('blacks out decoded frames and describes them', () => {
    const frame: PixelFrame = { rows: 2, columns: 2, samplesPerPixel: 3, pixels: new Uint8Array(12).fill(7), photometric: 'RGB', bitsStored: 8, signed: false };
    blackOutFrame(frame, { black: [{ x: 1, y: 0, width: 1, height: 1 }] });
    expect([...frame.pixels]).toEqual([7, 7, 7, 0, 0, 0, 7, 7, 7, 7, 7, 7]);
    expect(decodedImagePixel(frame)).toMatchObject({ '00280002': { vr: 'US', Value: [3] }, '00280006': { vr: 'US', Value: [0] }, '00280100': { vr: 'US', Value: [8] }, '00280102': { vr: 'US', Value: [7] } });
  });
});
