import { deflateRawSync } from 'node:zlib';
import sharp from 'sharp';
import { afterAll, describe, expect, it } from 'vitest';
import { dicomFile, imagePixel } from '../../../test/support/dicom-builder.js';
import { EXPLICIT_BIG, EXPLICIT_LITTLE, RLE_LOSSLESS } from '../../imaging/dicom/transfer-syntax.js';
import { ImagingThreads } from './imaging-threads.service.js';

const threads = new ImagingThreads({ threads: 1 });
const code = (name: string): unknown => expect.objectContaining({ name: 'AppError', code: name });

afterAll(() => threads.close());

describe('ImagingThreads for retrieval', () => {
  it('brings a frame into another transfer syntax and back', async () => {
    const samples = Array.from({ length: 64 * 64 }, (_, i) => (i * 7) % 4096);
    const native = Buffer.from(Uint16Array.from(samples).buffer);
    const file = dicomFile([...imagePixel(64, 64, 16, 12), [0x7fe00010, 'OW', samples]], { transferSyntax: EXPLICIT_BIG });
    const format = { photometric: 'MONOCHROME2', bitsAllocated: 16, bitsStored: 12, highBit: 11, signed: false };
    expect(await threads.transcode(file, 0, EXPLICIT_LITTLE)).toEqual({ bytes: new Uint8Array(native), format });
    const rle = await threads.transcode(file, 0, RLE_LOSSLESS);
    expect(rle.format).toEqual(format);
    // RLE Header: two segments, the first behind the header. PS3.5 G.5
    expect(Buffer.from(rle.bytes).readUInt32LE(0)).toBe(2);
    await expect(threads.transcode(file, 0, '1.2.840.10008.1.2.4.50')).rejects.toEqual(code('unsupported-transfer-syntax'));
    await expect(threads.transcode(file, 1, EXPLICIT_LITTLE)).rejects.toEqual(code('frame-not-found'));
  });

  it('inflates within a limit', async () => {
    const bytes = new Uint8Array(100_000).fill(7);
    expect(await threads.inflate(deflateRawSync(bytes), 1 << 20)).toEqual(bytes);
    await expect(threads.inflate(deflateRawSync(bytes), 1000)).rejects.toEqual(code('archive-bomb'));
    await expect(threads.inflate(Buffer.from('nonsense'), 1000)).rejects.toEqual(code('invalid-dicom'));
  });

  it('renders what a viewport shows', async () => {
    const file = dicomFile([...imagePixel(2, 4), [0x7fe00010, 'OB', [0, 10, 20, 30, 40, 50, 60, 70]]]);
    const rendered = await threads.render(file, { frame: 0, format: 'png', viewport: { width: 2, height: 2, region: { x: 2, y: 0, width: 2, height: 2 }, flipHorizontally: true } });
    expect([...(await sharp(rendered).toColourspace('b-w').raw().toBuffer())]).toEqual([30, 20, 70, 60]);
  });
});
