import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DerivedSource } from '../../src/imaging/report/derived.js';
import { indexToLps, lpsToIndex } from '../../src/imaging/volume/geometry.js';
import { packLabels } from '../../src/imaging/volume/packed-labels.js';
import type { Affine, Vector3 } from '../../src/imaging/volume/volume.js';
import { uuidv7 } from '../../src/kernel/uid.js';
import { StudyReader } from '../../src/modules/images/images.contract.js';
import { WebModule } from '../../src/web/web.module.js';
import { conclusion, commitResult, openHouse, type House } from '../integration/results/house.js';
import { relatedBody, STOW_TYPE } from '../support/dicom-files.js';
import { seriesOf, type DicomObject, type VolumeSeriesOptions } from '../support/dicom-volumes.js';
import { CHROMIUM, isBright, isColoured, launchChromium, OHIF_IS_INSTALLED, ViewerWindow, type Spot } from '../support/ohif.js';
import { ROOT } from '../support/product.js';
import { segSourceOf } from '../support/seg-source.js';

if (CHROMIUM === undefined) console.warn('SKIPPED: Chromium is not installed; marks are not looked at in the viewer');
if (!OHIF_IS_INSTALLED) console.warn('SKIPPED: npm @ohif/app is not installed; marks are not looked at in the viewer');
const SHOTS = join(ROOT, 'test-results', 'viewer-overlays');

const SIZE: Vector3 = [150, 120, 30];
/** Of the mass, in voxels; on a slice, and nowhere near the middle. */
const MIDDLE: Vector3 = [44, 79.5, 11];
const RADIUS_MM = 9;

/** Turned about two axes, with a voxel of three lengths. */
const OBLIQUE = ((): Affine => {
  const [a, b] = [0.4, 0.25];
  const [x, y] = [[Math.cos(a), Math.sin(a), 0], [-Math.sin(a) * Math.cos(b), Math.cos(a) * Math.cos(b), Math.sin(b)]] as const;
  const z = [x[1] * y[2] - x[2] * y[1], x[2] * y[0] - x[0] * y[2], x[0] * y[1] - x[1] * y[0]] as const;
  const row = (axis: 0 | 1 | 2): Affine[0] => [x[axis] * 0.8, y[axis] * 1.1, z[axis] * 3.3, [-40, 25, 110][axis] ?? 0];
  return [row(0), row(1), row(2)];
})();
const AXIAL: Affine = [[0.8, 0, 0, -70], [0, 0.8, 0, -30], [0, 0, 2.5, -120]];
/** From head to feet: the normal of the slices points the other way. */
const REVERSED: Affine = [[0.8, 0, 0, -70], [0, 0.8, 0, -30], [0, 0, -2.5, 40]];

interface Made { studyInstanceUid: string; middle: Vector3 }

describe.skipIf(CHROMIUM === undefined || !OHIF_IS_INSTALLED)('What the product found, in OHIF', () => {
  let house: House;
  let browser: Browser;
  let viewer: ViewerWindow;

  beforeAll(async () => {
    mkdirSync(SHOTS, { recursive: true });
    house = await openHouse({ imports: [WebModule] });
    browser = await launchChromium();
    viewer = await ViewerWindow.open(browser, house.url);
  });

  afterAll(async () => {
    await browser.close();
    await house.close();
  });

  const COURSES = [['axial', AXIAL], ['oblique', OBLIQUE], ['reversed', REVERSED]] as const;

  it.each(COURSES)('the segment of a nodule lies on the nodule of an %s series', async (name, affine) => {
    const { studyInstanceUid, middle } = await nodule(name, affine);
    await viewer.openStudy(studyInstanceUid);
    const truth = await viewer.showPlace(middle);
    const seen = await viewer.middle(isBright);
    console.log(name, truth, seen);
    await viewer.shot(SHOTS, `${name}-image`);
    await viewer.openObject('SEG');
    const again = await viewer.showPlace(middle);
    console.log(name, again, await viewer.middle(isColoured));
    await viewer.shot(SHOTS, `${name}-seg`);
    await viewer.openStudy(studyInstanceUid);
    await viewer.openObject('SR');
    console.log(name, await viewer.showPlace(middle), await viewer.circles());
    await viewer.shot(SHOTS, `${name}-sr`);
  });

  /** A study with a bright ball in it, and the result that has found it. */
  async function nodule(word: string, affine: Affine): Promise<Made> {
    const objects = mass(affine, { modality: 'CT', study: `overlays ${word}`, patientId: `OVER-${word}`, seriesDescription: word, rescale: { slope: 1, intercept: -1024 }, fields: { WindowCenter: -400, WindowWidth: 1400 } }, [-850, 60]);
    const source = segSourceOf(objects, { label: (index) => (isInside(affine, index) ? 1 : 0) });
    return made(objects, source);
  }

  async function made(objects: readonly DicomObject[], source: DerivedSource): Promise<Made> {
    const stored = await house.fetch('/dicom-web/studies', { method: 'POST', headers: { 'content-type': STOW_TYPE }, body: new Uint8Array(relatedBody(objects.map(({ bytes }) => bytes))) });
    expect(stored.status, await stored.clone().text()).toBe(200);
    const { studyInstanceUid } = source;
    await house.fetch(`/api/v1/studies/${studyInstanceUid}/complete`, { method: 'POST' });
    const study = await house.app.get(StudyReader).find(house.institutionId, studyInstanceUid);
    const [first] = study?.series[0]?.instances ?? [];
    if (!study || !first) throw new Error('the study is not there');
    const { analysis, summary, findings, labels, segments, segmentation, keyImage } = source;
    const key = study.series.flatMap(({ instances }) => instances).find(({ sopInstanceUid }) => sopInstanceUid === keyImage?.sopInstanceUid);
    const id = await commitResult(house, conclusion(house, { study, instance: first }, {
      analysis, summary, labels, segments, heatMaps: [], findings: findings.map((finding) => ({ ...finding, id: uuidv7() })),
      segmentation: segmentation && packLabels(segmentation),
      keyImage: keyImage && key ? { ...keyImage, blobKey: key.blobKey } : null,
      instances: study.series.flatMap(({ seriesInstanceUid, instances }) => instances.map(({ id, sopInstanceUid, sopClassUid, attributes }) => ({ id, sopInstanceUid, sopClassUid, attributes, seriesInstanceUid }))),
    }));
    expect(await (await house.fetch(`/api/v1/results/${id}`)).json()).toMatchObject({ status: 'preliminary' });
    return { studyInstanceUid, middle: middleOf(source) };
  }
});

function middleOf({ findings }: DerivedSource): Vector3 {
  const [x = NaN, y = NaN, z = NaN] = findings[0]?.location?.center ?? [];
  return [x, y, z];
}

function isInside(affine: Affine, index: Vector3): boolean {
  const [a, b] = [indexToLps(affine, index), indexToLps(affine, MIDDLE)];
  return Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]) <= RADIUS_MM;
}

/** A series of one value with a ball of another one. */
function mass(affine: Affine, options: VolumeSeriesOptions, [around, within]: readonly [number, number]): DicomObject[] {
  const voxels = new Int16Array(SIZE[0] * SIZE[1] * SIZE[2]);
  for (let k = 0, at = 0; k < SIZE[2]; k++) for (let j = 0; j < SIZE[1]; j++) for (let i = 0; i < SIZE[0]; i++, at++) voxels[at] = isInside(affine, [i, j, k]) ? within : around;
  return seriesOf({ size: SIZE, affine, voxels }, options);
}
