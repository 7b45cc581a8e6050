import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DerivedSource } from '../../src/imaging/report/derived.js';
import { describeSeries } from '../../src/imaging/volume/describe.js';
import { indexToLps } from '../../src/imaging/volume/geometry.js';
import { packLabels } from '../../src/imaging/volume/packed-labels.js';
import type { Affine, Vector3 } from '../../src/imaging/volume/volume.js';
import { uuidv7 } from '../../src/kernel/uid.js';
import { StudyReader } from '../../src/modules/images/images.contract.js';
import { WebModule } from '../../src/web/web.module.js';
import { commitResult, conclusion, openHouse, uploadStudy, type House } from '../integration/results/house.js';
import { relatedBody, STOW_TYPE } from '../support/dicom-files.js';
import { seriesOf, studyInputOf, type DicomObject, type VolumeSeriesOptions } from '../support/dicom-volumes.js';
import { apart, CHROMIUM, isBright, isColoured, launchChromium, OHIF_IS_INSTALLED, ViewerWindow } from '../support/ohif.js';
import { ROOT } from '../support/product.js';
import { segSourceOf } from '../support/seg-source.js';

if (CHROMIUM === undefined) console.warn('SKIPPED: Chromium is not installed; marks are not looked at in the viewer');
if (!OHIF_IS_INSTALLED) console.warn('SKIPPED: npm @ohif/app is not installed; marks are not looked at in the viewer');
const SHOTS = join(ROOT, 'test-results', 'viewer-overlays');
/** On the screen. */
const MOST_PIXELS = 3;

const SIZE: Vector3 = [150, 120, 30];
/** Of what is to be found, in voxels of the source; on a slice, and nowhere near the middle. */
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
const COURSES: readonly (readonly [string, Affine])[] = [
  ['axial', [[0.8, 0, 0, -70], [0, 0.8, 0, -30], [0, 0, 2.5, -120]]],
  ['oblique', OBLIQUE],
  // From head to feet: the normal of the slices points the other way.
  ['reversed', [[0.8, 0, 0, -70], [0, 0.8, 0, -30], [0, 0, -2.5, 40]]],
];

describe.skipIf(CHROMIUM === undefined || !OHIF_IS_INSTALLED)('What was found, in the viewer', () => {
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

  it.each(COURSES)('the segment and the mark of a nodule lie on the nodule: %s', async (course, affine) => {
    const objects = bodyWithBall(affine, { modality: 'CT', study: `nodule ${course}`, patientId: `NODULE-${course}`, seriesDescription: course, fields: { WindowCenter: -400, WindowWidth: 1400 } }, [-850, 60]);
    const studyInstanceUid = await stored(objects, segSourceOf(objects, { label: labelOf(objects, affine, () => 1) }));
    await viewer.openStudy(studyInstanceUid);
    await seesBall(affine, `nodule-${course}`);
    await viewer.openObject('SEG');
    await seesSegment(affine, `nodule-${course}-seg`);
    await viewer.openStudy(studyInstanceUid);
    await viewer.openObject('SR');
    await seesMark(affine, `nodule-${course}-sr`);
    expect((await viewer.lines()).map(({ text }) => text)).toEqual(expect.arrayContaining(['Nodule 1: 90 %', 'Finding site: Lung']));
  });

  it.each(COURSES)('the segments and the mark of a tumour lie on the tumour: %s', async (course, affine) => {
    const objects = bodyWithBall(affine, { modality: 'MR', study: `tumour ${course}`, patientId: `TUMOUR-${course}`, seriesDescription: 'T1 contrast', fields: { WindowCenter: 500, WindowWidth: 1000 } }, [150, 900]);
    const label = labelOf(objects, affine, (mm) => (mm < 3 ? 1 : mm < 6 ? 4 : 2));
    const made = segSourceOf(objects, { label, members: [{ segment: 1, values: [1, 2, 4] }, { segment: 2, values: [1, 4] }, { segment: 3, values: [4] }], names: ['Whole tumour', 'Tumour core', 'Enhancing tumour'] });
    const [whole] = made.findings;
    const source: DerivedSource = {
      ...made, analysis: 'brain-tumour-segmentation', summary: { text: 'Tumour', critical: false },
      findings: whole ? [{ ...whole, kind: 'tumour', code: { system: 'SNOMED-CT', value: '108369006', meaning: 'Neoplasm' }, attributes: [], measurements: [{ name: 'volume', value: made.segments[0]?.volumeMl ?? 0, unit: 'ml' }] }] : [],
    };
    const studyInstanceUid = await stored(objects, source);
    await viewer.openStudy(studyInstanceUid);
    await seesBall(affine, `tumour-${course}`);
    await viewer.openObject('SEG');
    await seesSegment(affine, `tumour-${course}-seg`);
    expect(await viewer.page.evaluate('window.services.segmentationService.getSegmentations().map(({ segments }) => Object.values(segments).map(({ label }) => label))')).toEqual([['Whole tumour', 'Tumour core', 'Enhancing tumour']]);
    await viewer.openStudy(studyInstanceUid);
    await viewer.openObject('SR');
    await seesMark(affine, `tumour-${course}-sr`);
    expect((await viewer.lines()).map(({ text }) => text)).toEqual(expect.arrayContaining(['Tumour 1: 90 %', 'Finding site: Brain']));
  });

  it('what is said of a whole X-ray is written beside it, line by line', async () => {
    const { study, instance } = await uploadStudy(house, 11);
    const labels = ['Atelectasis', 'Cardiomegaly', 'Effusion', 'Infiltration', 'Mass', 'Nodule', 'Pneumonia'].map((name, n) => ({ name, probability: 0.93 - n / 10, threshold: 0.5, positive: n < 5 }));
    await commitResult(house, conclusion(house, { study, instance }, { labels }));
    await viewer.openStudy(study.studyInstanceUid);
    await viewer.openObject('SR');
    await viewer.shot(SHOTS, 'x-ray-sr');
    const lines = await viewer.lines();
    expect(lines.map(({ text }) => text)).toEqual(['Atelectasis: 93 %, Cardiomegaly: 83 %', 'Effusion: 73 %, Infiltration: 63 %', 'Mass: 53 %, Nodule: 43 %', 'Pneumonia: 33 %']);
    expect(new Set(lines.map(({ top }) => top)).size).toBe(lines.length);
    const frame = await viewer.canvas.boundingBox();
    for (const { left, right } of lines) expect(left >= (frame?.x ?? Infinity) && right <= (frame ? frame.x + frame.width : 0)).toBe(true);
  });

  it('nothing failed on the way', () => { expect(viewer.complaints).toEqual([]); });

  /** The ball in the images is where the truth is: else there is nothing to measure against. */
  async function seesBall(affine: Affine, name: string): Promise<void> {
    const truth = await viewer.showPlace(placeOf(affine));
    const seen = await viewer.middle(isBright);
    await viewer.shot(SHOTS, name);
    expect(apart(seen?.at, truth)).toBeLessThan(1);
  }

  async function seesSegment(affine: Affine, name: string): Promise<void> {
    const truth = await viewer.showPlace(placeOf(affine));
    const seen = await viewer.middle(isColoured);
    await viewer.shot(SHOTS, name);
    expect(seen?.pixels).toBeGreaterThan(5_000);
    expect(apart(seen?.at, truth)).toBeLessThan(MOST_PIXELS);
    // The ball is covered: nothing of it sticks out.
    expect((await viewer.middle(isBright))?.pixels ?? 0).toBeLessThan((seen?.pixels ?? 0) / 10);
  }

  /** One circle, whose middle is that of the ball. */
  async function seesMark(affine: Affine, name: string): Promise<void> {
    const truth = await viewer.showPlace(placeOf(affine));
    const [circle, ...others] = await viewer.circles();
    await viewer.shot(SHOTS, name);
    expect(others).toEqual([]);
    expect(apart(circle?.at, truth)).toBeLessThan(MOST_PIXELS);
    expect(apart(circle?.at, (await viewer.middle(isBright))?.at)).toBeLessThan(MOST_PIXELS);
    // On the screen a circle is one, whatever the pixels of the image are like.
    expect(Math.abs((circle?.radii[0] ?? 0) - (circle?.radii[1] ?? Infinity))).toBeLessThan(1);
  }

  /** Stores the images, and the result as an analysis does. */
  async function stored(objects: readonly DicomObject[], { studyInstanceUid, analysis, summary, findings, labels, segments, segmentation, keyImage }: DerivedSource): Promise<string> {
    const answer = await house.fetch('/dicom-web/studies', { method: 'POST', headers: { 'content-type': STOW_TYPE }, body: new Uint8Array(relatedBody(objects.map(({ bytes }) => bytes))) });
    expect(answer.status, await answer.clone().text()).toBe(200);
    await house.fetch(`/api/v1/studies/${studyInstanceUid}/complete`, { method: 'POST' });
    const study = await house.app.get(StudyReader).find(house.institutionId, studyInstanceUid);
    const instances = study?.series.flatMap(({ seriesInstanceUid, instances: all }) => all.map((instance) => ({ ...instance, seriesInstanceUid }))) ?? [];
    const key = instances.find(({ sopInstanceUid }) => sopInstanceUid === keyImage?.sopInstanceUid);
    if (!study || !key || !keyImage) throw new Error('the study is not there');
    const id = await commitResult(house, conclusion(house, { study, instance: key }, {
      analysis, summary, labels: [...labels], segments: [...segments], heatMaps: [], findings: findings.map((finding) => ({ ...finding, id: uuidv7() })), segmentation: segmentation && packLabels(segmentation), keyImage: { ...keyImage, blobKey: key.blobKey },
      instances: instances.map(({ id: instanceId, sopInstanceUid, sopClassUid, attributes, seriesInstanceUid }) => ({ id: instanceId, sopInstanceUid, sopClassUid, attributes, seriesInstanceUid })),
    }));
    expect(await (await house.fetch(`/api/v1/results/${id}`)).json()).toMatchObject({ status: 'preliminary' });
    return studyInstanceUid;
  }
});

function placeOf(affine: Affine): Vector3 {
  return indexToLps(affine, MIDDLE);
}

function awayMm(affine: Affine, index: Vector3, middle: Vector3): number {
  const place = indexToLps(affine, index);
  return Math.hypot(place[0] - middle[0], place[1] - middle[1], place[2] - middle[2]);
}

/** A series of one value with a ball of another one. */
function bodyWithBall(affine: Affine, options: VolumeSeriesOptions, [around, within]: readonly [number, number]): DicomObject[] {
  const voxels = new Int16Array(SIZE[0] * SIZE[1] * SIZE[2]);
  for (let k = 0, at = 0; k < SIZE[2]; k++) for (let j = 0; j < SIZE[1]; j++) for (let i = 0; i < SIZE[0]; i++, at++) voxels[at] = awayMm(affine, [i, j, k], placeOf(affine)) <= RADIUS_MM ? within : around;
  return seriesOf({ size: SIZE, affine, voxels }, options);
}

/** Labels of the ball, on the grid that the product makes of the series: it may turn an axis round. */
function labelOf(objects: readonly DicomObject[], affine: Affine, value: (mm: number) => number): (index: Vector3) => number {
  const [series] = studyInputOf(objects).series;
  const { grid } = describeSeries(series?.instances ?? [], undefined);
  if (!grid) throw new Error('no volume');
  return (index) => {
    const mm = awayMm(grid.affine, index, placeOf(affine));
    return mm <= RADIUS_MM ? value(mm) : 0;
  };
}
