import { vi } from 'vitest';
import { text } from '../../../src/imaging/dicom/attributes.js';
import type { DerivedSource, SourceInstance } from '../../../src/imaging/report/derived.js';
import type { DerivedWriter } from '../../../src/imaging/report/derived-writers.js';
import { throughGate } from '../../../src/imaging/report/gate.js';
import type { Finding } from '../../../src/imaging/report/finding.js';
import { inputDigestOf } from '../../../src/imaging/report/input-digest.js';
import { indexToLps } from '../../../src/imaging/volume/geometry.js';
import { packLabels, unpackLabels } from '../../../src/imaging/volume/packed-labels.js';
import { uuidv7 } from '../../../src/kernel/uid.js';
import { StudyReader, type StoredStudy } from '../../../src/modules/images/images.contract.js';
import type { NewResult } from '../../../src/modules/results/results.contract.js';
import { ImagingThreads } from '../../../src/platform/threads/imaging-threads.service.js';
import { chestCt } from '../../support/chest-ct.js';
import { seriesOf } from '../../support/dicom-volumes.js';
import type { PatientHouse } from '../images/patient-house.js';
import { relatedBody } from '../images/instances.js';

/** Lets the house write objects with these writers, in this process: threads only know those of the product. */
export function writeWith(house: Pick<PatientHouse, 'app'>, writers: readonly DerivedWriter[]): void {
  vi.spyOn(house.app.get(ImagingThreads), 'derive').mockImplementation(({ instances, segmentation, ...about }) => {
    const source: DerivedSource = {
      ...about,
      instances: instances.map((json) => JSON.parse(Buffer.from(json).toString()) as SourceInstance),
      segmentation: segmentation && unpackLabels(segmentation),
    };
    return Promise.resolve(throughGate(source, writers));
  });
}

/** For results that a test makes up, whose findings stand for themselves: the gate would withhold them. */
export function writeNothing(house: Pick<PatientHouse, 'app'>): void {
  writeWith(house, []);
}

export async function stow(house: PatientHouse, objects: readonly { bytes: Uint8Array }[], authorization?: string): Promise<Response> {
  return house.fetch('/dicom-web/studies', {
    method: 'POST', body: new Uint8Array(relatedBody(objects)),
    headers: { 'content-type': 'multipart/related; type="application/dicom"; boundary=boundary-7', ...(authorization !== undefined && { authorization }) },
  });
}

/** A small chest CT, complete, as an analysis sees it. */
export async function ctStudy(house: PatientHouse, word: string): Promise<StoredStudy> {
  const ct = chestCt({ size: [24, 20, 6], spacing: [12, 12, 5] });
  const stored = await stow(house, seriesOf(ct, { modality: 'CT', study: word, series: `${word} ct`, patientId: `PID ${word}` }));
  if (stored.status !== 200) throw new Error(await stored.text());
  const [found] = await house.json<{ studyInstanceUid: string }[] | { items: { studyInstanceUid: string }[] }>('/api/v1/studies?limit=1').then((page) => ('items' in page ? page.items : page));
  const uid = found?.studyInstanceUid ?? '';
  await house.json(`/api/v1/studies/${uid}/complete`, { method: 'POST' });
  const study = await house.app.get(StudyReader).find(house.institutionId, uid);
  if (!study) throw new Error('the study is not there');
  return study;
}

/** What the nodule analysis might say of it: one nodule of 3 × 2 × 2 voxels, not in the middle. */
export function noduleResult(house: Pick<PatientHouse, 'institutionId'>, study: StoredStudy, changes: Partial<NewResult> = {}): NewResult {
  const ct = chestCt({ size: [24, 20, 6], spacing: [12, 12, 5] });
  const [series] = study.series;
  if (!series) throw new Error('the study has no series');
  const byPlace = [...series.instances].sort((a, b) => placeOf(a) - placeOf(b));
  const labels = new Uint8Array(24 * 20 * 6);
  for (const k of [2, 3]) for (const j of [9, 10]) for (const i of [17, 18, 19]) labels[i + 24 * (j + 20 * k)] = 1;
  const volumeMm3 = 12 * 12 * 12 * 5;
  const frames = byPlace.map(({ sopInstanceUid }) => ({ sopInstanceUid, frame: 1 }));
  const frameOfReferenceUid = text(byPlace[0]?.attributes ?? {}, 'FrameOfReferenceUID') ?? '';
  const key = byPlace[2];
  if (!key) throw new Error('the series has too few images');
  const center = indexToLps(ct.affine, [18, 9.5, 2.5]);
  const finding: Finding = {
    id: uuidv7(), kind: 'nodule', code: { system: 'SNOMED-CT', value: '27925004', meaning: 'Nodule' }, score: 0.91,
    location: { frameOfReferenceUid, center: [...center], box: [[...indexToLps(ct.affine, [16.5, 8.5, 1.5])], [...indexToLps(ct.affine, [19.5, 10.5, 3.5])]], sopInstanceUid: key.sopInstanceUid, frame: 1 },
    measurements: [{ name: 'diameter', value: 30, unit: 'mm' }, { name: 'volume', value: volumeMm3, unit: 'mm3' }],
  };
  return {
    institutionId: house.institutionId, analysisId: uuidv7(), studyId: study.id, studyInstanceUid: study.studyInstanceUid, analysis: 'lung-nodule-detection',
    summary: { text: '1 nodule', critical: false }, findings: [finding], labels: [], segments: [{ number: 1, name: 'Nodule 1', volumeMl: volumeMm3 / 1000 }], heatMaps: [],
    provenance: {
      model: { name: 'nodules', version: '1.0.0', digest: `sha256:${'0'.repeat(64)}` }, software: '0.1.0', inputDigest: inputDigestOf(series.instances),
      executionProvider: 'cpu', startedAt: '2026-11-21T09:59:58.000Z', finishedAt: '2026-11-21T10:00:00.000Z',
    },
    keyImage: { sopInstanceUid: key.sopInstanceUid, blobKey: key.blobKey, frame: 1 },
    segmentation: packLabels({ grid: { size: [24, 20, 6], affine: ct.affine, frameOfReferenceUid }, seriesInstanceUid: series.seriesInstanceUid, frames, labels, members: [{ segment: 1, values: [1] }] }),
    instances: series.instances.map(({ id, sopInstanceUid, sopClassUid, attributes }) => ({ id, sopInstanceUid, sopClassUid, seriesInstanceUid: series.seriesInstanceUid, attributes })),
    ...changes,
  };
}

/** Along z, which is the normal of axial slices. */
function placeOf({ attributes }: { attributes: StoredStudy['series'][number]['instances'][number]['attributes'] }): number {
  return Number(attributes['00200032']?.Value?.[2]);
}
