import { describe, expect, it } from 'vitest';
import { seriesOf, type SourceVolume, type VolumeSeriesOptions } from '../../../test/support/dicom-volumes.js';
import { parseInstanceBytes } from '../dicom/header.js';
import type { Codec } from '../dicom/pixels.js';
import { assembleSeries, type AssembledVolume } from './assemble.js';
import { describeSeries } from './describe.js';
import { indexToLps } from './geometry.js';

const NO_CODEC: Codec = { decode: () => { throw new Error('native pixels need none'); } };
const SIZE = [5, 4, 6] as const;
const SOURCE: SourceVolume = {
  size: SIZE,
  affine: [[0.7, 0, 0, -20], [0, 0.8, 0, -30], [0, 0, 2.5, -100]],
  voxels: Int16Array.from({ length: 120 }, (_, at) => (at * 37) % 1500 - 900),
};

async function assembled(options: VolumeSeriesOptions, source = SOURCE): Promise<AssembledVolume> {
  const objects = seriesOf(source, options);
  const sources = objects.map(({ sopInstanceUid, bytes }) => ({ sopInstanceUid, attributes: parseInstanceBytes(bytes).attributes }));
  return assembleSeries(describeSeries(sources), objects, NO_CODEC);
}

describe('the assembly of a volume', () => {
  it('gives Hounsfield units on the grid of the slices', async () => {
    const volume = await assembled({ modality: 'CT' });
    expect(volume.size).toEqual(SIZE);
    expect(volume.affine).toEqual(SOURCE.affine);
    expect(volume.voxels).toEqual(SOURCE.voxels);
    expect(volume.frameOfReferenceUid).toMatch(/^2\.25\./);
    expect(volume.frames).toHaveLength(6);
  });

  it('does not depend on the order of the slices, and so for frames of one enhanced object', async () => {
    const plain = await assembled({ modality: 'CT' });
    for (const options of [{ shuffle: 3 }, { enhanced: true }, { enhanced: true, shuffle: 4 }, { shuffle: 5, duplicate: [0, 3] }]) {
      const other = await assembled({ modality: 'CT', ...options });
      expect(other.voxels).toEqual(plain.voxels);
      expect(other.affine).toEqual(plain.affine);
    }
  });

  it('names the frame of each slice', async () => {
    const { frames } = await assembled({ modality: 'CT', enhanced: true, shuffle: 4 });
    expect(new Set(frames.map(({ frame }) => frame))).toEqual(new Set([1, 2, 3, 4, 5, 6]));
    expect(frames.map(({ frame }) => frame)).not.toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('turns a stack round that runs against its normal, so that every voxel keeps its place', async () => {
    const down: SourceVolume = { ...SOURCE, affine: [[0.7, 0, 0, -20], [0, 0.8, 0, -30], [0, 0, -2.5, -100]] };
    const volume = await assembled({ modality: 'CT' }, down);
    expect(indexToLps(volume.affine, [0, 0, 0])).toEqual([-20, -30, -112.5]);
    expect(volume.voxels[0]).toBe(SOURCE.voxels[100]);
  });

  it('rescales each slice by its own slope and intercept', async () => {
    const volume = await assembled({ modality: 'CT', perSlice: (slice) => (slice === 2 ? { RescaleSlope: 2, RescaleIntercept: -2000 } : {}) });
    const at = 2 * 20;
    expect(volume.voxels[at]).toBe(((SOURCE.voxels[at] ?? 0) + 1024) * 2 - 2000);
    expect(volume.voxels[0]).toBe(SOURCE.voxels[0]);
    expect(volume.voxels).toBeInstanceOf(Int16Array);
  });

  it('keeps fractions as floats, whichever slice has them', async () => {
    const volume = await assembled({ modality: 'MR', rescale: { slope: 1, intercept: 0 }, perSlice: (slice) => (slice === 5 ? { RescaleSlope: 0.5 } : {}) });
    expect(volume.voxels).toBeInstanceOf(Float32Array);
    expect(volume.voxels[3]).toBe(SOURCE.voxels[3]);
    expect(volume.voxels[101]).toBe((SOURCE.voxels[101] ?? 0) / 2);
  });

  it('makes air of padding in CT, written signed or unsigned', async () => {
    const stored = (SOURCE.voxels[7] ?? 0) + 1024;
    const volume = await assembled({ modality: 'CT', fields: { PixelPaddingValue: stored } });
    expect(volume.voxels[7]).toBe(-1024);
    expect(volume.voxels[8]).toBe(SOURCE.voxels[8]);
    const negative = await assembled({ modality: 'CT', rescale: { slope: 1, intercept: 0 }, fields: { PixelPaddingValue: (SOURCE.voxels[0] ?? 0) + 65_536 } });
    expect(negative.voxels[0]).toBe(-1024);
  });

  it('turns MONOCHROME1 round for MR and leaves Hounsfield units as they are', async () => {
    const mr = await assembled({ modality: 'MR', fields: { PhotometricInterpretation: 'MONOCHROME1' } });
    expect(mr.voxels[9]).toBe(-1 - (SOURCE.voxels[9] ?? 0));
    const ct = await assembled({ modality: 'CT', fields: { PhotometricInterpretation: 'MONOCHROME1' } });
    expect(ct.voxels).toEqual(SOURCE.voxels);
  });

  it('refuses a slice that is cut off, that is missing or whose size is another', async () => {
    const objects = seriesOf(SOURCE, { modality: 'CT' });
    const sources = objects.map(({ sopInstanceUid, bytes }) => ({ sopInstanceUid, attributes: parseInstanceBytes(bytes).attributes }));
    const { frames } = describeSeries(sources);
    const cut = objects.map((object, i) => (i === 2 ? { ...object, bytes: object.bytes.subarray(0, object.bytes.length - 4) } : object));
    await expect(assembleSeries({ frames }, cut, NO_CODEC)).rejects.toMatchObject({ code: 'truncated-file' });
    await expect(assembleSeries({ frames }, objects.slice(1), NO_CODEC)).rejects.toMatchObject({ code: 'invalid-dicom' });
  });

  it('tells how far it is', async () => {
    const objects = seriesOf(SOURCE, { modality: 'CT' });
    const sources = objects.map(({ sopInstanceUid, bytes }) => ({ sopInstanceUid, attributes: parseInstanceBytes(bytes).attributes }));
    const told: number[] = [];
    await assembleSeries(describeSeries(sources), objects, NO_CODEC, (done) => told.push(done));
    expect(told).toHaveLength(6);
    expect(told.at(-1)).toBe(1);
  });
});
