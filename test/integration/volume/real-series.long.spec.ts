import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseInstanceBytes } from '../../../src/imaging/dicom/header.js';
import { assembleSeries, type AssembledVolume } from '../../../src/imaging/volume/assemble.js';
import { select } from '../../../src/imaging/analyses/lung-nodule/eligibility.js';
import { domainSchema } from '../../../src/imaging/model/manifests/base.js';
import { describeSeries } from '../../../src/imaging/volume/describe.js';
import { lpsToIndex } from '../../../src/imaging/volume/geometry.js';
import { nativeCodec } from '../../../src/platform/threads/codecs.js';
import { seriesOf, studyInputOf, type DicomObject } from '../../support/dicom-volumes.js';
import { readNifti } from '../../support/nifti.js';
import { DATA, sharedFile } from '../../support/shared-data.js';

const LIDC1 = sharedFile(DATA, 'ct', 'LIDC-IDRI-0001');
const T1 = sharedFile(DATA, 'mri', 'brain_t1_dicom_fnndsc');
const TCGA = sharedFile(DATA, 'mri', 'tcga_fg6692_native', 't1.nii.gz');

function objectsIn(folder: string): DicomObject[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.dcm')).map((name) => {
    const bytes = new Uint8Array(readFileSync(join(folder, name)));
    return { sopInstanceUid: parseInstanceBytes(bytes).sopInstanceUid, bytes };
  });
}

async function assembled(objects: readonly DicomObject[]): Promise<AssembledVolume> {
  const description = describeSeries(studyInputOf(objects).series.flatMap(({ instances }) => instances));
  expect(description.fault).toBeUndefined();
  return assembleSeries(description, objects, nativeCodec);
}

function leastOf(voxels: AssembledVolume['voxels']): number {
  let least = Infinity;
  for (const value of voxels) least = Math.min(least, value);
  return least;
}

describe('real series', () => {
  it.skipIf(LIDC1 === undefined)('LIDC-IDRI-0001 is a volume of Hounsfield units, in whatever order and form it comes', async () => {
    const objects = objectsIn(LIDC1 ?? '');
    const volume = await assembled(objects);
    expect(volume.size).toEqual([512, 512, 133]);
    expect(volume.voxels).toBeInstanceOf(Int16Array);
    expect(volume.affine[2]).toEqual([0, 0, 2.5, -340]);
    // The annotated nodule of LUNA16 is soft tissue amid lung.
    const [i, j, k] = lpsToIndex(volume, [56.208405, 86.343413, -115.867579]);
    const nodule = volume.voxels[Math.round(i) + 512 * (Math.round(j) + 512 * Math.round(k))];
    expect(nodule).toBeGreaterThan(-100);
    expect(nodule).toBeLessThan(200);
    // Padding is stored as −2000, which the rescale would make −3024.
    expect(leastOf(volume.voxels)).toBe(-2048);

    const shuffled = await assembled([...objects].sort((a, b) => (a.sopInstanceUid < b.sopInstanceUid ? -1 : 1)).reverse());
    expect(Buffer.compare(Buffer.from(shuffled.voxels.buffer), Buffer.from(volume.voxels.buffer))).toBe(0);
    expect(shuffled.frames).toEqual(volume.frames);

    const enhanced = await assembled(seriesOf(volume, { modality: 'CT', enhanced: true, shuffle: 7 }));
    expect(enhanced.affine).toEqual(volume.affine);
    expect(Buffer.compare(Buffer.from(enhanced.voxels.buffer), Buffer.from(volume.voxels.buffer))).toBe(0);
  });

  it.skipIf(LIDC1 === undefined)('LIDC-IDRI-0001 is chosen as a chest CT', () => {
    const domain = domainSchema.parse({ modalities: ['CT'], bodyParts: ['CHEST'], unknownAge: 'inside', sliceThicknessMm: { max: 2.5 }, minSlices: 60 });
    const study = studyInputOf(objectsIn(LIDC1 ?? ''));
    expect(select(study, { domain })).toMatchObject({ series: [{ role: 'ct', frames: { length: 133 }, reason: '133 original axial slices of a soft kernel (STANDARD), 2.5 mm thick, 2.5 mm apart, over 330 mm.' }] });
    expect(select(study, { domain: { ...domain, sliceThicknessMm: { max: 2 } } })).toMatchObject({ code: 'slice-too-thick' });
  });

  it.skipIf(T1 === undefined)('a sagittal, oblique T1 is a volume', () => {
    const objects = objectsIn(T1 ?? '').slice();
    const description = describeSeries(studyInputOf(objects).series.flatMap(({ instances }) => instances));
    expect(description).toMatchObject({ fault: undefined, plane: 'sagittal', leftOut: { localizers: 0, strays: 0, duplicates: 0 } });
    expect(description.frames).toHaveLength(192);
    expect(description.spacingMm).toBeCloseTo(0.9, 3);
    expect(description.obliquityDegrees).toBeGreaterThan(1);
  });

  it.skipIf(TCGA === undefined)('a NIfTI wrapped as DICOM keeps every voxel in its place', async () => {
    const source = readNifti(TCGA ?? '');
    const volume = await assembled(seriesOf(source, { shuffle: 2 }));
    let differing = 0;
    const [columns, rows, slices] = source.size;
    // This one runs against the normal of its slices, so slice k is the last but k.
    for (let k = 0; k < slices; k++) {
      for (let at = 0; at < columns * rows; at++) if (volume.voxels[k * columns * rows + at] !== source.voxels[(slices - 1 - k) * columns * rows + at]) differing++;
    }
    expect(differing).toBe(0);
    for (const axis of [0, 1, 2] as const) expect(volume.affine[axis][3]).toBeCloseTo(source.affine[axis][3] + source.affine[axis][2] * (slices - 1), 3);
  });
});
