import { describe, expect, it } from 'vitest';
import { dicomFile, encapsulated, imagePixel, withElements, type Element } from '../../../test/support/dicom-builder.js';
import { AppError } from '../../kernel/errors.js';
import { parseInstanceBytes } from './header.js';
import { decodeFrame, describePixels, frameLocation, type Codec, type PixelFrame } from './pixels.js';

const noCodec: Codec = { decode: () => { throw new Error('not expected'); } };

async function decode(file: Uint8Array, frame = 0): Promise<PixelFrame> {
  const parsed = parseInstanceBytes(file);
  const bytes = parsed.inflated ?? file;
  return decodeFrame(parsed, Buffer.concat(frameLocation(parsed, frame).map(({ offset, length }) => bytes.subarray(offset, offset + length))), noCodec, frame);
}

async function refusal(file: Uint8Array, frame = 0): Promise<string> {
  const error: unknown = await decode(file, frame).catch((reason: unknown) => reason);
  if (error instanceof AppError) return error.code;
  throw error;
}

const words = (...values: number[]): Element => [0x7fe00010, 'OW', values];

describe('decodeFrame of native pixels', () => {
  it('masks bits beside the stored ones and moves a high bit that is not the topmost', async () => {
    const overlay = [...imagePixel(1, 3, 16, 12), words(0xf123, 0x0fff, 0x8000)];
    expect([...(await decode(dicomFile(overlay))).pixels]).toEqual([0x123, 0xfff, 0]);
    const left = [...withElements(imagePixel(1, 2, 16, 12), [0x00280102, 'US', [15]]), words(0x123f, 0xfff0)];
    expect([...(await decode(dicomFile(left))).pixels]).toEqual([0x123, 0xfff]);
  });

  it('extends the sign of odd depths', async () => {
    const signed = withElements(imagePixel(1, 3, 16, 12), [0x00280103, 'US', [1]]);
    const { pixels } = await decode(dicomFile([...signed, words(0x0800, 0x07ff, 0x0fff)]));
    expect(pixels).toEqual(Int16Array.of(-2048, 2047, -1));
  });

  it('swaps big endian words, and pairs of bytes written as words', async () => {
    const options = { transferSyntax: '1.2.840.10008.1.2.2' };
    expect((await decode(dicomFile([...imagePixel(1, 2, 16), words(0x0102, 0xff00)], options))).pixels).toEqual(Uint16Array.of(0x0102, 0xff00));
    expect((await decode(dicomFile([...imagePixel(1, 4), words(0x0201, 0x0403)], options))).pixels).toEqual(Uint8Array.of(1, 2, 3, 4));
  });

  it('finds 1-bit frames that begin inside a byte', async () => {
    const file = dicomFile([...withElements(imagePixel(1, 3, 1)), [0x00280008, 'IS', '3'], [0x7fe00010, 'OB', Uint8Array.of(0b10_011_101, 0b1)]]);
    expect([...(await decode(file, 0)).pixels]).toEqual([1, 0, 1]);
    expect([...(await decode(file, 1)).pixels]).toEqual([1, 1, 0]);
    expect([...(await decode(file, 2)).pixels]).toEqual([0, 1, 1]);
  });

  it('gives colour by pixel whatever the planar configuration', async () => {
    const rgb = withElements(imagePixel(1, 2), [0x00280002, 'US', [3]], [0x00280004, 'CS', 'RGB'], [0x00280006, 'US', [1]]);
    const frame = await decode(dicomFile([...rgb, [0x7fe00010, 'OB', Uint8Array.of(1, 2, 3, 4, 5, 6)]]));
    expect([...frame.pixels]).toEqual([1, 3, 5, 2, 4, 6]);
  });

  it('converts YBR to RGB, subsampled or not', async () => {
    const ybr = withElements(imagePixel(1, 2), [0x00280002, 'US', [3]], [0x00280004, 'CS', 'YBR_FULL']);
    const red = [76, 85, 255];
    expect([...(await decode(dicomFile([...ybr, [0x7fe00010, 'OB', Uint8Array.of(...red, ...red)]]))).pixels]).toEqual([254, 0, 0, 254, 0, 0]);
    const half = withElements(ybr, [0x00280004, 'CS', 'YBR_FULL_422'], [0x7fe00010, 'OB', Uint8Array.of(76, 76, 85, 255)]);
    const frame = await decode(dicomFile(half));
    expect([...frame.pixels]).toEqual([254, 0, 0, 254, 0, 0]);
    expect(frame.photometric).toBe('RGB');
  });

  it('reads float and double float pixel data', async () => {
    const base = imagePixel(1, 2, 32);
    expect((await decode(dicomFile([...base, [0x7fe00008, 'OF', new Uint8Array(Float32Array.of(1.5, -2).buffer)]]))).pixels).toEqual(Float32Array.of(1.5, -2));
    expect((await decode(dicomFile([...base, [0x7fe00009, 'OD', new Uint8Array(Float64Array.of(1.5, -2).buffer)]]))).pixels).toEqual(Float64Array.of(1.5, -2));
  });

  it('refuses what contradicts itself, by code', async () => {
    const pixels: Element = [0x7fe00010, 'OB', new Uint8Array(4)];
    const grey = imagePixel(2, 2);
    const refused = (...changes: Element[]): Promise<string> => refusal(dicomFile([...withElements(grey, ...changes), pixels]));
    expect(await refused([0x00280010, 'US', [0]])).toBe('invalid-pixel-data');
    expect(await refused([0x00280010, 'US', [3]])).toBe('invalid-pixel-data');
    expect(await refused([0x00280010, 'US', [65_535]], [0x00280011, 'US', [65_535]])).toBe('image-too-large');
    expect(await refused([0x00280100, 'US', [12]])).toBe('invalid-pixel-data');
    expect(await refused([0x00280101, 'US', [9]])).toBe('invalid-pixel-data');
    expect(await refused([0x00280002, 'US', [3]])).toBe('invalid-pixel-data');
    expect(await refused([0x00280004, 'CS', 'HSV'])).toBe('unsupported-photometric');
    expect(await refused([0x00280008, 'IS', '0'])).toBe('invalid-pixel-data');
    expect(await refusal(dicomFile(grey))).toBe('no-pixel-data');
    expect(await refusal(dicomFile([...grey, pixels]), 1)).toBe('frame-not-found');
    expect(await refusal(dicomFile([...grey, pixels], { transferSyntax: '1.2.840.10008.1.2.4.100' }))).toBe('unsupported-transfer-syntax');
    expect(await refusal(dicomFile([...grey, pixels], { transferSyntax: '1.2.840.10008.1.2.4.50' }))).toBe('invalid-pixel-data');
  });
});

describe('frameLocation of encapsulated pixels', () => {
  const image = (length: number): Uint8Array => Uint8Array.of(0xff, 0xd8, 0xff, ...new Uint8Array(length - 3));
  const rest = (length: number): Uint8Array => new Uint8Array(length).fill(7);
  const lengths = (frames: number, fragments: Uint8Array[], offsets: number[] = [], extra: Element[] = []): number[][] => {
    const elements: Element[] = [...imagePixel(2, 2), [0x00280008, 'IS', String(frames)], ...extra, [0x7fe00010, 'OB', encapsulated(fragments, offsets), { undefinedLength: true }]];
    const parsed = parseInstanceBytes(dicomFile(elements, { transferSyntax: '1.2.840.10008.1.2.4.50' }));
    return Array.from({ length: describePixels(parsed).numberOfFrames }, (_, i) => frameLocation(parsed, i).map((range) => range.length));
  };

  it('goes by the basic offset table', () => {
    expect(lengths(2, [image(10), rest(20), image(30)], [0, 46])).toEqual([[10, 20], [30]]);
  });

  it('goes by the extended offset table, with exact lengths', () => {
    const table = (tag: number, ...values: bigint[]): Element => [tag, 'OV', new Uint8Array(BigUint64Array.from(values).buffer)];
    expect(lengths(2, [image(10), rest(20), image(30)], [], [table(0x7fe00001, 0n, 46n), table(0x7fe00002, 29n, 30n)])).toEqual([[10, 19], [30]]);
  });

  it('takes one fragment a frame, or all of them for a single frame', () => {
    expect(lengths(2, [rest(10), rest(20)])).toEqual([[10], [20]]);
    expect(lengths(1, [rest(10), rest(20)])).toEqual([[10, 20]]);
  });

  it('tells frames apart by their start markers where no table helps', () => {
    expect(lengths(2, [image(10), rest(20), image(30)])).toEqual([[10, 20], [30]]);
    expect(lengths(2, [image(10), rest(20), image(30)], [0, 5])).toEqual([[10, 20], [30]]);
  });

  it('refuses to guess', () => {
    expect(() => lengths(2, [rest(10), rest(20), rest(30)])).toThrow(expect.objectContaining({ code: 'invalid-pixel-data' }) as Error);
  });
});
