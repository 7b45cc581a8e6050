import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Affine } from '../../../src/imaging/volume/volume.js';
import { uuidv7 } from '../../../src/kernel/uid.js';
import { BlobStore } from '../../../src/platform/storage/blob-store.js';
import { chestCt } from '../../support/chest-ct.js';
import { seriesOf } from '../../support/dicom-volumes.js';
import { writeNothing } from './derived-house.js';
import { commitResult, openHouse, type House } from './house.js';
import { labelsOf, noduleOf, uploadVolume, volumeConclusion, type Lesion, type StoredVolume } from './volumes.js';

const lesion: Lesion = { centre: [80, -20, 30], radiusMm: 11 };

let house: House;
let volume: StoredVolume;
beforeAll(async () => {
  house = await openHouse();
  writeNothing(house);
  const ct = chestCt({ size: [128, 104, 40], spacing: [2.5, 2.5, 6], balls: [{ ...lesion, hu: 20 }] });
  volume = await uploadVolume(house, seriesOf(ct, { modality: 'CT', study: 'preview', shuffle: 3 }));
});
afterAll(async () => { await house.close(); });

/** For eyes: kept where HEALTHVISION_PICTURES names a folder. */
function keep(name: string, png: Uint8Array): void {
  const folder = process.env.HEALTHVISION_PICTURES;
  if (folder === undefined) return;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, name), png);
}

async function stored(of: StoredVolume = volume, changes: Parameters<typeof noduleOf>[2] = {}, labels = labelsOf(of.grid, [lesion])): Promise<{ id: string; finding: string }> {
  const finding = noduleOf(of, lesion, changes);
  const id = await commitResult(house, volumeConclusion(house, of, { findings: [finding], labels, segments: [{ number: 1, name: 'Nodule 1', volumeMl: 5.6 }] }));
  return { id, finding: finding.id };
}

const preview = (id: string, query = '', language = 'en'): Promise<Response> => house.fetch(`/api/v1/results/${id}/preview.png?${query}`, { headers: { 'accept-language': language } });

async function pictureOf(response: Response): Promise<Buffer> {
  if (response.status !== 200) throw new Error(await response.text());
  return Buffer.from(await response.arrayBuffer());
}

/** The middle of what is drawn in the colour of the first segment within a region, in its pixels; the number of such pixels. */
async function marked(png: Uint8Array, region: { left: number; top: number; width: number; height: number }): Promise<{ x: number; y: number; width: number; count: number }> {
  const { data, info } = await sharp(png).extract(region).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  let [x, y, count, low, high] = [0, 0, 0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let at = 0; at < info.width * info.height; at++) {
    const [red = 0, green = 0, blue = 0] = data.subarray(at * 3);
    if (red < 200 || green < 190 || blue > 110) continue;
    const column = at % info.width;
    [x, y, count, low, high] = [x + column, y + Math.floor(at / info.width), count + 1, Math.min(low, column), Math.max(high, column)];
  }
  return { x: x / count, y: y / count, width: high - low + 1, count };
}

const AXIAL = { left: 0, top: 0, width: 640, height: 640 };
const CORONAL = { left: 648, top: 0, width: 316, height: 316 };
const SAGITTAL = { left: 648, top: 324, width: 316, height: 316 };

async function codeOf(response: Response): Promise<unknown[]> {
  return [response.status, ((await response.json()) as { code: string }).code];
}

describe('the preview of a finding in a volume', () => {
  it('shows three planes through it, the outline in the middle of each and as wide as the finding', async () => {
    const { id, finding } = await stored();
    const png = await pictureOf(await preview(id, `finding=${finding}`));
    keep('lung-all.png', png);
    expect(await sharp(png).metadata()).toMatchObject({ format: 'png', width: 964, height: 744 });
    for (const panel of [AXIAL, CORONAL, SAGITTAL]) {
      const { x, y, width, count } = await marked(png, panel);
      expect(count).toBeGreaterThan(50);
      expect(Math.abs(x - panel.width / 2)).toBeLessThan(panel.width * 0.03);
      expect(Math.abs(y - panel.height / 2)).toBeLessThan(panel.height * 0.05);
      // 22 of some 64 millimetres.
      expect(width / panel.width).toBeGreaterThan(0.28);
      expect(width / panel.width).toBeLessThan(0.4);
    }
  });

  it('outlines no segment that a person disagrees with', async () => {
    const { id, finding } = await stored();
    const etag = (await house.fetch(`/api/v1/results/${id}`)).headers.get('etag') ?? '';
    const review = await house.fetch(`/api/v1/results/${id}/reviews`, { method: 'POST', headers: { 'content-type': 'application/json', 'if-match': etag }, body: JSON.stringify({ decisions: [{ decision: 'segment', segment: 1, agrees: false }] }) });
    expect(review.status).toBe(201);
    // The box of the finding, in the corners of its panel, is all that is left.
    const [whole, without] = [await stored(), { id, finding }];
    const [before, after] = [await marked(await pictureOf(await preview(whole.id, `finding=${whole.finding}`)), AXIAL), await marked(await pictureOf(await preview(without.id, `finding=${without.finding}`)), AXIAL)];
    expect(after.count).toBeLessThan(before.count);
  });

  it('has one plane where one is asked for, whole where no crop is wanted, and speaks Chinese', async () => {
    const { id, finding } = await stored();
    const png = await pictureOf(await preview(id, `finding=${finding}&plane=coronal&crop=false`, 'zh-CN'));
    keep('lung-coronal-zh.png', png);
    expect(await sharp(png).metadata()).toMatchObject({ width: 640, height: 744 });
    // Of 320 mm across; the left of the patient at the right, 80 mm from the middle; of 240 mm down the head at the top, 30 mm above it.
    const { x, y } = await marked(png, AXIAL);
    expect(Math.abs(x - (320 + 80 * 2))).toBeLessThan(6);
    expect(Math.abs(y - (320 - 30 * 2))).toBeLessThan(8);
    expect((await preview(id, `finding=${finding}&plane=oblique`)).status).toBe(400);
  });

  it.each([
    ['prone, rows and columns turned round', { prone: true, size: [128, 104, 24], spacing: [2.5, 2.5, 10] }],
    ['thick slices', { size: [100, 80, 20], spacing: [3.2, 3.2, 12] }],
  ] as const)('shows the same side at the same place: %s', async (name, options) => {
    const other = await uploadVolume(house, seriesOf(chestCt({ ...options, balls: [{ ...lesion, hu: 20 }] }), { modality: 'CT', study: name }));
    const { id, finding } = await stored(other, {}, labelsOf(other.grid, [lesion]));
    const png = await pictureOf(await preview(id, `finding=${finding}&plane=axial&crop=false`));
    keep(`lung-${name.slice(0, 5)}.png`, png);
    const { x, y } = await marked(png, AXIAL);
    const [pixelsPerMm, width] = [640 / (options.size[0] * options.spacing[0]), options.size[1] * options.spacing[1]];
    expect(width).toBeGreaterThan(0);
    expect(Math.abs(x - (320 + 80 * pixelsPerMm))).toBeLessThan(8);
    expect(Math.abs(y - (320 - 20 * pixelsPerMm))).toBeLessThan(8);
  });

  it('shows slices that stand sagittal as they should be read', async () => {
    // Columns run to the back, rows to the feet, slices to the left.
    const ct = chestCt({ size: [80, 75, 60], spacing: [3, 4, 4], balls: [{ ...lesion, hu: 20 }] });
    const affine: Affine = [[0, 0, 3, -118.5], [3, 0, 0, -148.5], [0, -3, 0, 148.5]];
    const source = new Int16Array(100 * 100 * 80);
    for (let k = 0; k < 80; k++) for (let j = 0; j < 100; j++) for (let i = 0; i < 100; i++) source[i + 100 * (j + 100 * k)] = valueAt(ct, [-118.5 + 3 * k, -148.5 + 3 * i, 148.5 - 3 * j]);
    const other = await uploadVolume(house, seriesOf({ size: [100, 100, 80], affine, voxels: source }, { modality: 'CT', study: 'sagittal' }));
    const { id, finding } = await stored(other, {}, labelsOf(other.grid, [lesion]));
    const png = await pictureOf(await preview(id, `finding=${finding}&crop=false`));
    keep('sagittal-source.png', png);
    // The axial plane: 240 mm across and 300 mm down, so 2.13 pixels a millimetre.
    const { x, y } = await marked(png, AXIAL);
    expect(Math.abs(x - (320 + 80 * 2.133))).toBeLessThan(8);
    expect(Math.abs(y - (320 - 20 * 2.133))).toBeLessThan(8);
  });

  it('draws the box where nothing was segmented', async () => {
    const { id, finding } = await stored(volume, {}, new Uint8Array(volume.grid.size[0] * volume.grid.size[1] * volume.grid.size[2]));
    const png = await pictureOf(await preview(id, `finding=${finding}&plane=axial`));
    keep('lung-box.png', png);
    const { x, y, count } = await marked(png, AXIAL);
    expect(count).toBeGreaterThan(500);
    expect([Math.abs(x - 320) < 16, Math.abs(y - 320) < 16]).toEqual([true, true]);
  });

  // Wall time is the bench's affair: neighbours on the machine take part in it.
  it('takes little of the processor once its planes were read', async () => {
    const { id, finding } = await stored();
    await pictureOf(await preview(id, `finding=${finding}`));
    const before = process.cpuUsage();
    for (const [plane, language] of [['all', 'zh-CN'], ['axial', 'en'], ['coronal', 'en'], ['sagittal', 'en'], ['axial', 'zh-CN']] as const) await pictureOf(await preview(id, `finding=${finding}&plane=${plane}`, language));
    const { user, system } = process.cpuUsage(before);
    console.info(JSON.stringify({ cpuMsEach: Math.round((user + system) / 5_000) }));
    expect((user + system) / 5_000).toBeLessThan(400);
  });

  it('says with a code that images are gone, were replaced, or that the result is withheld', async () => {
    const own = await uploadVolume(house, seriesOf(chestCt({ size: [64, 50, 24], spacing: [5, 5, 8] }), { modality: 'CT', study: 'gone' }));
    const { id, finding } = await stored(own, {}, labelsOf(own.grid, [lesion]));
    const blobs = own.study.series.flatMap(({ instances }) => instances);
    const middle = blobs.find(({ sopInstanceUid }) => sopInstanceUid === noduleOf(own, lesion).location?.sopInstanceUid);
    await house.owner.instance.update({ where: { id: middle?.id ?? '' }, data: { blobKey: volume.study.series[0]?.instances[0]?.blobKey ?? '' } });
    // The bytes of another study: another key, or another size.
    expect((await preview(id, `finding=${finding}`)).status).toBeGreaterThanOrEqual(409);
    await house.owner.instance.update({ where: { id: middle?.id ?? '' }, data: { blobKey: middle?.blobKey ?? '' } });
    await house.app.get(BlobStore).delete(middle?.blobKey ?? '');
    expect(await codeOf(await preview(id, `finding=${finding}`))).toEqual([404, 'instance-not-found']);
    await house.owner.instance.delete({ where: { id: middle?.id ?? '' } });
    expect(await codeOf(await preview(id, `finding=${finding}&plane=axial`))).toEqual([404, 'instance-not-found']);
    await house.owner.result.update({ where: { id }, data: { status: 'withheld' } });
    expect(await codeOf(await preview(id, `finding=${finding}`))).toEqual([409, 'result-withheld']);
    expect(await codeOf(await preview(uuidv7()))).toEqual([404, 'result-not-found']);
  });

  it('shows a finding with a place but no centre, and one far outside of the volume', async () => {
    const { location } = noduleOf(volume, lesion);
    const frame = { sopInstanceUid: location?.sopInstanceUid ?? '', frame: 1 };
    const flat = await stored(volume, { location: frame });
    expect((await sharp(await pictureOf(await preview(flat.id, `finding=${flat.finding}`))).metadata()).width).toBe(640);
    const far = await stored(volume, { location: { ...frame, sopInstanceUid: '1.2.3', center: [9000, -9000, 9000] } });
    expect((await preview(far.id, `finding=${far.finding}`)).status).toBe(200);
  });
});

/** The nearest voxel. */
function valueAt({ size: [columns, rows, slices], affine, voxels }: ReturnType<typeof chestCt>, [x, y, z]: readonly [number, number, number]): number {
  const index = [[x, 0, columns], [y, 1, rows], [z, 2, slices]].map(([value = 0, axis = 0, count = 1]) => Math.min(count - 1, Math.max(0, Math.round((value - (affine[axis]?.[3] ?? 0)) / (affine[axis]?.[axis as 0 | 1 | 2] ?? 1)))));
  const [i = 0, j = 0, k = 0] = index;
  return voxels[i + columns * (j + rows * k)] ?? -1000;
}
