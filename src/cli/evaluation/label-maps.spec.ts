import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../../../test/support/product.js';
import { labelMapsOf, readLabelMap } from './label-maps.js';
import type { FolderStudy } from './studies.js';

/** One row of voxels of 1 mm. */
function niftiOf(...values: number[]): Buffer {
  const bytes = Buffer.alloc(352 + values.length);
  bytes.writeInt32LE(348, 0);
  for (const [axis, n] of [3, values.length, 1, 1].entries()) bytes.writeInt16LE(n, 40 + 2 * axis);
  bytes.writeInt16LE(2, 70);
  bytes.writeFloatLE(352, 108);
  bytes.writeInt16LE(1, 254);
  for (const at of [280, 300, 320]) bytes.writeFloatLE(1, at);
  bytes.set(values, 352);
  return bytes;
}

describe('label maps of studies', () => {
  let root: string;
  beforeEach(() => { root = temporaryDirectory(); });
  afterEach(() => { rmSync(root, { recursive: true, force: true }); });
  const put = (name: string, bytes: Uint8Array = new Uint8Array()): string => { mkdirSync(dirname(join(root, name)), { recursive: true }); writeFileSync(join(root, name), bytes); return join(root, name); };
  const study = (studyInstanceUid: string, ...folders: string[]): FolderStudy => ({ studyInstanceUid, input: { series: [] }, files: new Map(), folders: new Set(folders.map((folder) => join(root, folder))) });

  it('lie beside the images, or in the nearest folder above them', async () => {
    const [near, far] = [put('images/a/a-seg.nii.gz'), put('images/seg.nii')];
    for (const folder of ['images/a/t1', 'images/b/t1']) mkdirSync(join(root, folder), { recursive: true });
    expect(await labelMapsOf([study('1', 'images/a/t1'), study('2', 'images/b/t1')], join(root, 'images'), join(root, 'images'))).toEqual([near, far]);
  });

  it('lie in a folder of their own, named after the study', async () => {
    mkdirSync(join(root, 'images/case-1'), { recursive: true });
    const [one, two] = [put('maps/case-1.nii.gz'), put('maps/x/1.2.3_labels.nii')];
    put('maps/case-10.nii.gz');
    expect(await labelMapsOf([study('1', 'images/case-1/t1'), study('1.2.3', 'images')], join(root, 'maps'), join(root, 'images'))).toEqual([one, two]);
  });

  it('are one file for one study alone', async () => {
    const file = put('truth.nii');
    expect(await labelMapsOf([study('1', 'a')], file, root)).toEqual([file]);
    await expect(labelMapsOf([study('1', 'a'), study('2', 'b')], file, root)).rejects.toMatchObject({ code: 'dataset-invalid' });
  });

  it('are missed, and not chosen from', async () => {
    mkdirSync(join(root, 'images/a'), { recursive: true });
    await expect(labelMapsOf([study('1', 'images/a')], join(root, 'images'), join(root, 'images'))).rejects.toMatchObject({ code: 'dataset-invalid', message: expect.stringContaining('no label map') as string });
    put('images/a/seg1.nii');
    put('images/a/seg2.nii');
    await expect(labelMapsOf([study('1', 'images/a')], join(root, 'images'), join(root, 'images'))).rejects.toMatchObject({ message: expect.stringContaining('several label maps') as string });
    await expect(labelMapsOf([study('1', 'images/a')], join(root, 'absent'), join(root, 'images'))).rejects.toMatchObject({ message: expect.stringContaining('no readable file or folder') as string });
  });

  it('are read with enhancing tumour as 4, gzipped or not', async () => {
    expect((await readLabelMap(put('a.nii', niftiOf(0, 1, 2, 3)))).voxels).toEqual(Uint8Array.of(0, 1, 2, 4));
    expect((await readLabelMap(put('a.nii.gz', gzipSync(niftiOf(0, 1, 2, 4))))).voxels).toEqual(Uint8Array.of(0, 1, 2, 4));
  });

  it.each<[string, Uint8Array]>([['empty', new Uint8Array()], ['no NIfTI', Buffer.from('labels')], ['cut off in its compression', gzipSync(niftiOf(0, 1)).subarray(0, 20)], ['full of other labels', niftiOf(0, 7)]])('are refused where they are %s', async (_, bytes) => {
    await expect(readLabelMap(put('a.nii', bytes))).rejects.toMatchObject({ code: 'dataset-invalid' });
  });
});
