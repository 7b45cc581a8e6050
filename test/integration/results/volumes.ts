import { describeSeries } from '../../../src/imaging/volume/describe.js';
import { lpsToIndex, spacingOf, indexToLps } from '../../../src/imaging/volume/geometry.js';
import { packLabels } from '../../../src/imaging/volume/packed-labels.js';
import type { Grid, Vector3 } from '../../../src/imaging/volume/volume.js';
import type { FrameRef, Segmentation } from '../../../src/imaging/analyses/analysis.js';
import { parseInstanceBytes } from '../../../src/imaging/dicom/header.js';
import type { Finding, Segment } from '../../../src/imaging/report/finding.js';
import { uuidv7 } from '../../../src/kernel/uid.js';
import { StudyReader, type StoredStudy } from '../../../src/modules/images/images.contract.js';
import type { NewResult } from '../../../src/modules/results/results.contract.js';
import type { DicomObject } from '../../support/dicom-volumes.js';
import { conclusion, type House } from './house.js';

export interface StoredVolume {
  study: StoredStudy;
  grid: Grid;
  frames: FrameRef[];
  seriesInstanceUid: string;
}

/** Uploads the objects of one or more series, and gives the grid of the first one (or the one that is named) as the product makes it. */
export async function uploadVolume(house: House, objects: readonly DicomObject[], seriesInstanceUid?: string): Promise<StoredVolume> {
  const form = new FormData();
  for (const [index, { bytes }] of objects.entries()) form.append('files', new Blob([Buffer.from(bytes)]), `${String(index)}.dcm`);
  const response = await house.fetch('/api/v1/images', { method: 'POST', body: form });
  if (response.status !== 201) throw new Error(`not stored: ${(await response.text()).slice(0, 500)}`);
  const parsed = objects.map(({ bytes }) => parseInstanceBytes(bytes));
  const series = seriesInstanceUid ?? parsed[0]?.seriesInstanceUid ?? '';
  const { grid, frames, fault } = describeSeries(parsed.filter((one) => one.seriesInstanceUid === series), '2.25.7');
  const study = await house.app.get(StudyReader).find(house.institutionId, parsed[0]?.studyInstanceUid ?? '');
  if (!grid || !study) throw new Error(fault?.detail ?? 'the study is not there');
  return { study, grid, frames, seriesInstanceUid: series };
}

export interface Lesion {
  /** LPS millimetres. */
  centre: Vector3;
  radiusMm: number;
}

/** Balls as label values from 1. */
export function labelsOf(grid: Grid, lesions: readonly Lesion[]): Uint8Array {
  const [columns, rows, slices] = grid.size;
  const labels = new Uint8Array(columns * rows * slices);
  for (const [n, { centre, radiusMm }] of lesions.entries()) {
    const [ci, cj, ck] = lpsToIndex(grid, centre);
    const [ri, rj, rk] = spacingOf(grid.affine).map((mm) => Math.ceil(radiusMm / mm) + 1) as [number, number, number];
    for (let k = Math.max(0, Math.floor(ck - rk)); k <= Math.min(slices - 1, ck + rk); k++) {
      for (let j = Math.max(0, Math.floor(cj - rj)); j <= Math.min(rows - 1, cj + rj); j++) {
        for (let i = Math.max(0, Math.floor(ci - ri)); i <= Math.min(columns - 1, ci + ri); i++) {
          const [x, y, z] = indexToLps(grid.affine, [i, j, k]);
          if (Math.hypot(x - centre[0], y - centre[1], z - centre[2]) <= radiusMm) labels[i + columns * (j + rows * k)] = n + 1;
        }
      }
    }
  }
  return labels;
}

/** A nodule where a ball lies. */
export function noduleOf({ grid, frames }: StoredVolume, { centre: [x, y, z], radiusMm }: Lesion, changes: Partial<Finding> = {}): Finding {
  const slice = Math.round(lpsToIndex(grid, [x, y, z])[2]);
  const frame = frames[slice] ?? { sopInstanceUid: '1.2.3', frame: 1 };
  return {
    id: uuidv7(), kind: 'nodule', code: { system: 'SNOMED-CT', value: '27925004', meaning: 'Nodule' }, score: 0.93,
    location: { frameOfReferenceUid: '2.25.7', center: [x, y, z], box: [[x - radiusMm, y - radiusMm, z - radiusMm], [x + radiusMm, y + radiusMm, z + radiusMm]], ...frame },
    measurements: [
      { name: 'diameter', value: 2 * radiusMm, unit: 'mm' }, { name: 'longAxis', value: 2 * radiusMm, unit: 'mm' }, { name: 'shortAxis', value: 2 * radiusMm, unit: 'mm' },
      { name: 'volume', value: Math.round((4 / 3) * Math.PI * radiusMm ** 3), unit: 'mm3' }, { name: 'meanAttenuation', value: -12, unit: 'HU' },
    ],
    attributes: [{ name: 'attenuation', value: 'solid' }, { name: 'side', value: x > 0 ? 'left' : 'right' }, { name: 'zone', value: 'middle' }, { name: 'lungRads', value: '4A' }],
    ...changes,
  };
}

/** What an analysis might conclude of a volume. */
export function volumeConclusion(house: House, volume: StoredVolume, { findings, labels, segments, members }: { findings: Finding[]; labels: Uint8Array; segments: Segment[]; members?: Segmentation['members'] }, changes: Partial<NewResult> = {}): NewResult {
  const { study, grid, frames, seriesInstanceUid } = volume;
  const key = findings[0]?.location;
  const instances = study.series.flatMap((series) => series.instances);
  const instance = instances.find(({ sopInstanceUid }) => sopInstanceUid === key?.sopInstanceUid) ?? instances[0];
  if (!instance) throw new Error('the key image is not there');
  const segmentation = packLabels({ grid, seriesInstanceUid, frames, labels, members: members ?? segments.map(({ number }) => ({ segment: number, values: [number] })) });
  return conclusion(house, { study, instance }, {
    analysis: 'lung-nodule-detection', findings, labels: [], segments, heatMaps: [], segmentation,
    keyImage: { sopInstanceUid: instance.sopInstanceUid, blobKey: instance.blobKey, frame: key?.frame ?? 1 },
    provenance: { ...conclusion(house, { study, instance }).provenance, model: { name: 'lung-nodules', version: '1.0.0', digest: `sha256:${'0'.repeat(64)}` } },
    ...changes,
  });
}
