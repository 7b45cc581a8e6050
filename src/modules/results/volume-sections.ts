import { Injectable } from '@nestjs/common';
import type { FrameRef } from '../../imaging/analyses/analysis.js';
import type { Finding } from '../../imaging/report/finding.js';
import { placeParts, planeSize, sectionPlan, type Planes, type SectionPlan } from '../../imaging/render/sections.js';
import type { Window } from '../../imaging/render/window.js';
import type { Vector3 } from '../../imaging/volume/volume.js';
import { AppError } from '../../kernel/errors.js';
import { Metrics } from '../../platform/ops/metrics.js';
import { BlobStore } from '../../platform/storage/blob-store.js';
import { ImagingThreads } from '../../platform/threads/imaging-threads.service.js';
import { StudyReader } from '../images/images.contract.js';
import { gone } from './gone.js';
import { PreviewCache } from './preview-cache.js';
import type { ResultRecord, StoredSegmentation } from './results.store.js';

const CACHE_BYTES = 64 * 1024 * 1024;
/** Objects that are read and cut at a time: as many as there are threads, and one that is being read. */
const AT_ONCE = 3;

/** Three planes through a finding, ready to be drawn. */
export interface VolumeSections {
  plan: SectionPlan;
  planes: Planes<Float32Array>;
  labels: Planes<Uint8Array> | null;
  window: Window;
  byteLength: number;
}

/** A place in a volume. */
export type VolumePlace = NonNullable<Finding['location']> & { center: Vector3 };

/** The grid that a finding lies in; undefined where the result has none, or the finding no centre. */
export function volumeOf({ rendering }: ResultRecord, finding: Finding | undefined): { segmentation: StoredSegmentation; place: VolumePlace } | undefined {
  const { segmentation } = rendering;
  const center = finding?.location?.center;
  return segmentation && finding?.location && center ? { segmentation, place: { ...finding.location, center } } : undefined;
}

/** Cuts planes out of stored series: only the slices that the planes cross are read, and of those only what lies in them is kept. */
@Injectable()
export class VolumeSectionsReader {
  private readonly cache = new PreviewCache<VolumeSections>(CACHE_BYTES);

  constructor(
    private readonly studies: StudyReader,
    private readonly blobs: BlobStore,
    private readonly threads: ImagingThreads,
    { caches }: Metrics,
  ) {
    caches.watch('volume-sections', this.cache.tally);
  }

  /** @throws AppError `instance-not-found` when an image is gone, `source-changed` when it is another one; those of decoding */
  async of(record: ResultRecord, segmentation: StoredSegmentation, place: VolumePlace, crop: boolean): Promise<VolumeSections> {
    const { grid, frames } = segmentation;
    const slice = frames.findIndex(({ sopInstanceUid, frame }) => sopInstanceUid === place.sopInstanceUid && frame === place.frame);
    const plan = sectionPlan(grid, { center: place.center, box: place.box, slice: slice < 0 ? undefined : slice }, crop);
    const key = JSON.stringify([record.id, record.updatedAt.getTime(), plan]);
    return this.cache.get(key, () => this.cut(record, segmentation, plan));
  }

  private async cut(record: ResultRecord, segmentation: StoredSegmentation, plan: SectionPlan): Promise<VolumeSections> {
    const labels = this.labels(segmentation, plan);
    // Awaited below: until then a failure is nobody's.
    labels.catch(() => undefined);
    const planes = planesOf(plan);
    let window: Window | undefined;
    const objects = await this.objects(record, segmentation, plan);
    const { size: [columns, rows] } = segmentation.grid;
    await Promise.all(Array.from({ length: AT_ONCE }, async () => {
      for (let object = objects.pop(); object; object = objects.pop()) {
        const file = await this.studies.readInstance(object.blobKey).catch(gone);
        const cut = await this.threads.cutSections(file, { frames: object.frames, plan, columns, rows, analysis: record.analysis });
        for (const parts of cut.parts) placeParts(planes, parts, plan);
        window ??= cut.window;
      }
    }));
    const found = await labels;
    if (!window) throw new AppError('internal', { detail: 'No slice was in the middle of the planes' });
    return { plan, planes, labels: found, window, byteLength: planes.reduce((sum, plane) => sum + plane.length * 5, 0) };
  }

  private async labels({ grid, slices, blobKey }: StoredSegmentation, plan: SectionPlan): Promise<Planes<Uint8Array> | null> {
    if (slices.every(({ slice }) => slice < plan.from[2] || slice > plan.to[2])) return null;
    const packed = new Uint8Array(await this.blobs.read(blobKey).catch(gone));
    return this.threads.cutLabels({ grid, slices, packed }, plan);
  }

  /** The objects that hold the slices between the ends of the plan. @throws AppError `instance-not-found` */
  private async objects({ institutionId, studyInstanceUid }: ResultRecord, { frames }: StoredSegmentation, { from, to }: SectionPlan): Promise<{ blobKey: string; frames: { frame: number; slice: number }[] }[]> {
    const study = await this.studies.find(institutionId, studyInstanceUid);
    const blobKeys = new Map(study?.series.flatMap(({ instances }) => instances.map(({ sopInstanceUid, blobKey }) => [sopInstanceUid, blobKey])));
    const objects = new Map<string, { blobKey: string; frames: { frame: number; slice: number }[] }>();
    for (let slice = from[2]; slice <= to[2]; slice++) {
      const { sopInstanceUid, frame }: FrameRef = frames[slice] ?? { sopInstanceUid: '', frame: 1 };
      const blobKey = blobKeys.get(sopInstanceUid);
      if (blobKey === undefined) throw new AppError('instance-not-found', { detail: 'An image that this result was read from is not stored.' });
      const object = objects.get(sopInstanceUid) ?? { blobKey, frames: [] };
      object.frames.push({ frame: frame - 1, slice });
      objects.set(sopInstanceUid, object);
    }
    return [...objects.values()];
  }
}

function planesOf(plan: SectionPlan): Planes<Float32Array> {
  const plane = (across: 0 | 1 | 2): Float32Array => { const { width, height } = planeSize(plan, across); return new Float32Array(width * height); };
  return [plane(0), plane(1), plane(2)];
}
