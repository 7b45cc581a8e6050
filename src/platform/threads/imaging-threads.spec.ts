import sharp from 'sharp';
import { afterAll, describe, expect, it } from 'vitest';
import { dicomFile, imagePixel } from '../../../test/support/dicom-builder.js';
import { wrapImage } from '../../imaging/dicom/wrap-image.js';
import { ImagingThreads } from './imaging-threads.service.js';

const threads = new ImagingThreads({ threads: 1 });
const code = (name: string): unknown => expect.objectContaining({ name: 'AppError', code: name });
const uids = { studyInstanceUid: '1.2.3', seriesInstanceUid: '1.2.3.1', sopInstanceUid: '1.2.3.1.1' };

afterAll(() => threads.close());

describe('ImagingThreads', () => {
  it('decodes in a thread and leaves the caller its bytes', async () => {
    const file = dicomFile([...imagePixel(1, 3, 16), [0x7fe00010, 'OW', [1, 2, 3]]]);
    const frame = await threads.decode(file, 0);
    expect(frame).toMatchObject({ rows: 1, columns: 3, pixels: Uint16Array.of(1, 2, 3) });
    expect(file.length).toBeGreaterThan(0);
    await expect(threads.decode(file, 1)).rejects.toEqual(code('frame-not-found'));
    await expect(threads.decode(Buffer.from('nonsense'), 0)).rejects.toEqual(code('not-dicom'));
  });

  it('brings a picture through DICOM and back without changing a grey level', async () => {
    const pixels = Uint8Array.from({ length: 64 * 48 }, (_, i) => (i * 7) % 256);
    const png = await sharp(pixels, { raw: { width: 64, height: 48, channels: 1 } }).toColourspace('b-w').png().toBuffer();
    const read = await threads.readImage(png);
    expect(read).toEqual({ pixels, width: 64, height: 48, channels: 1, bits: 8 });
    const rendered = await threads.render(wrapImage(read, { modality: 'CR', ...uids }), { frame: 0, format: 'png' });
    expect((await threads.readImage(rendered)).pixels).toEqual(pixels);
  });

  it('reads 16 bits, drops alpha, expands palettes', async () => {
    const wide = Uint16Array.from({ length: 12 }, (_, i) => i * 5461);
    const png16 = await sharp(wide, { raw: { width: 4, height: 3, channels: 1 } }).toColourspace('grey16').png().toBuffer();
    expect(await threads.readImage(png16)).toEqual({ pixels: wide, width: 4, height: 3, channels: 1, bits: 16 });
    const rgba = await sharp({ create: { width: 2, height: 1, channels: 4, background: { r: 10, g: 20, b: 30, alpha: 0.5 } } }).png().toBuffer();
    expect(await threads.readImage(rgba)).toMatchObject({ channels: 3, pixels: Uint8Array.of(10, 20, 30, 10, 20, 30) });
    const palette = await sharp({ create: { width: 8, height: 8, channels: 3, background: '#ff0000' } }).png({ palette: true }).toBuffer();
    expect([...(await threads.readImage(palette)).pixels.slice(0, 3)]).toEqual([255, 0, 0]);
  });

  it('refuses pictures that are none, cut off, or of another kind', async () => {
    const png = await sharp({ create: { width: 100, height: 100, channels: 3, background: '#123456' } }).png({ compressionLevel: 0 }).toBuffer();
    const bad = [Buffer.alloc(0), Buffer.from('GIF89a'), png.subarray(0, png.length / 2), Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')];
    for (const bytes of bad) await expect(threads.readImage(bytes)).rejects.toEqual(code('invalid-image'));
  });

  it('refuses a picture whose header promises too many pixels', async () => {
    const png = await sharp({ create: { width: 1, height: 1, channels: 3, background: '#000' } }).png().toBuffer();
    png.writeUInt32BE(60_000, 16);
    png.writeUInt32BE(60_000, 20);
    await expect(threads.readImage(png)).rejects.toEqual(expect.objectContaining({ code: expect.stringMatching(/^(image-too-large|invalid-image)$/) as string }));
  });

  it('renders to size with a heat map', async () => {
    const file = wrapImage({ pixels: new Uint8Array(400 * 200).fill(90), width: 400, height: 200, channels: 1, bits: 8 }, { modality: 'CR', ...uids });
    const image = await threads.render(file, { frame: 0, maxWidth: 100, format: 'jpeg', heatMap: { data: Float32Array.of(0, 0, 0, 1), width: 2, height: 2 } });
    const { width, height, format, channels } = await sharp(image).metadata();
    expect({ width, height, format, channels }).toEqual({ width: 100, height: 50, format: 'jpeg', channels: 3 });
  });

  it('keeps the event loop free while it decodes', async () => {
    const file = dicomFile([...imagePixel(3000, 3000, 16), [0x7fe00010, 'OW', new Uint8Array(18_000_000)]]);
    let longest = 0;
    const started = performance.now();
    let last = started;
    const timer = setInterval(() => {
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    }, 1);
    await Promise.all([1, 2].map(() => threads.render(file, { frame: 0, format: 'png' })));
    clearInterval(timer);
    // On the loop, each of the two would hold it for half of the time.
    expect(longest).toBeLessThan(0.3 * (performance.now() - started));
  });
});
