import { Injectable } from '@nestjs/common';
import type { FrameRef } from '../../imaging/analyses/analysis.js';
import { DISCLAIMER, type Segment } from '../../imaging/report/finding.js';
import { displayNameOf } from '../../imaging/report/terms.js';
import { PLANES, type PlaneName } from '../../imaging/render/plane-view.js';
import { indexBox } from '../../imaging/render/sections.js';
import { SEGMENT_COLOURS, type SegmentPlane } from '../../imaging/render/segments.js';
import type { HeatMap } from '../../imaging/render/overlay.js';
import { AppError, type Language } from '../../kernel/errors.js';
import { etagOf } from '../../platform/http/representation.js';
import { Metrics } from '../../platform/ops/metrics.js';
import { BlobStore } from '../../platform/storage/blob-store.js';
import { ImagingThreads } from '../../platform/threads/imaging-threads.service.js';
import type { PreviewSegmentation } from '../../platform/threads/imaging-tasks.js';
import type { PreviewLegend } from '../../platform/threads/legend.js';
import { VERSION } from '../../platform/version.js';
import { StudyReader } from '../images/images.contract.js';
import { gone } from './gone.js';
import { PreviewCache } from './preview-cache.js';
import { previewSubject, type PreviewSubject, type PreviewWish } from './preview-subject.js';
import { heatMapValues } from './result-writer.js';
import type { ResultRecord, StoredSegmentation } from './results.store.js';
import { VolumeSectionsReader, volumeOf } from './volume-sections.js';

const CACHE_BYTES = 64 * 1024 * 1024;
/** Between the outlines of segments that are parts of one another; what is one of many keeps its inside to be looked at. */
const FILL = 0.22;

const EVIDENCE: Readonly<Record<Language, PreviewLegend['evidence']>> = {
  en: { title: 'Evidence in the image', weak: 'weak', strong: 'strong' },
  'zh-CN': { title: '图像中的依据', weak: '弱', strong: '强' },
};

const PLANE_NAMES: Readonly<Record<Language, Readonly<Record<PlaneName, string>>>> = {
  en: { axial: 'Axial', coronal: 'Coronal', sagittal: 'Sagittal' },
  'zh-CN': { axial: '横断面', coronal: '冠状面', sagittal: '矢状面' },
};

/** How it is shown. */
export interface PreviewLook {
  /** Of findings in volumes. */
  plane?: PlaneName | 'all' | undefined;
  /** Only the surroundings of a finding in a volume; default. */
  crop?: boolean | undefined;
  /** Default true. */
  legend?: boolean;
}

export interface Preview {
  etag: string;
  /**
   * PNG.
   * @throws AppError `instance-not-found` when the image is gone, `source-changed` when it is another one; those of rendering
   */
  draw(): Promise<Uint8Array>;
}

/** Draws what a result says onto the images that it was read from. */
@Injectable()
export class PreviewService {
  private readonly cache = new PreviewCache(CACHE_BYTES);

  constructor(
    private readonly studies: StudyReader,
    private readonly blobs: BlobStore,
    private readonly threads: ImagingThreads,
    private readonly volumes: VolumeSectionsReader,
    { caches }: Metrics,
  ) {
    caches.watch('preview', this.cache.tally);
  }

  /** @throws AppError `finding-not-found`, `result-withheld` */
  of(record: ResultRecord, wish: PreviewWish, language: Language, { plane = 'all', crop = true, legend = true }: PreviewLook = {}): Preview {
    if (record.status === 'withheld') throw new AppError('result-withheld');
    const subject = previewSubject(record, wish, language);
    const look = { plane, crop, legend };
    // A new version may draw in another way.
    const etag = etagOf(record.id, record.updatedAt.getTime(), subject.key, JSON.stringify(look), language, VERSION);
    return { etag, draw: () => this.cache.get(etag, () => this.drawNow(record, subject, look, language)) };
  }

  private async drawNow(record: ResultRecord, subject: PreviewSubject, look: Required<PreviewLook>, language: Language): Promise<Uint8Array> {
    const { caption, value, detail } = subject;
    const legend = look.legend ? { caption, value, detail, disclaimer: DISCLAIMER[language], evidence: EVIDENCE[language] } : null;
    const volume = volumeOf(record, subject.finding);
    if (volume) return this.drawSections(record, volume, look, legend, language);
    const { blobKey, place } = await this.source(record, subject);
    const instance = await this.studies.readInstance(blobKey).catch(gone);
    const heatMap = await this.heatMap(subject);
    const segmentation = await this.segmentation(record, place, language);
    return this.threads.preview(instance, { frame: place.frame - 1, legend, ...(heatMap && { heatMap }), ...(segmentation && { segmentation }) });
  }

  private async drawSections(record: ResultRecord, { segmentation, place }: NonNullable<ReturnType<typeof volumeOf>>, { plane, crop }: PreviewLook, legend: PreviewLegend | null, language: Language): Promise<Uint8Array> {
    const { plan, planes, labels, window } = await this.volumes.of(record, segmentation, place, crop ?? true);
    const { grid, members } = segmentation;
    const views = (plane === undefined || plane === 'all' ? PLANES : [plane]).map((one) => ({ plane: one, name: PLANE_NAMES[language][one] }));
    return this.threads.sectionPreview({
      grid, plan, planes, labels, window, views, legend,
      box: place.box ? indexBox(grid, place.box) : null,
      segments: shownSegments(members, record.segments, language),
      fill: overlap(members) ? FILL : 0,
    });
  }

  /** The key image, or the image that the finding names. */
  private async source({ institutionId, studyInstanceUid, rendering }: ResultRecord, { place }: PreviewSubject): Promise<{ blobKey: string; place: FrameRef }> {
    const { keyImage } = rendering;
    if (keyImage && (!place || place.sopInstanceUid === keyImage.sopInstanceUid)) return { blobKey: keyImage.blobKey, place: { sopInstanceUid: keyImage.sopInstanceUid, frame: place?.frame ?? keyImage.frame } };
    const study = place && (await this.studies.find(institutionId, studyInstanceUid));
    const instance = study?.series.flatMap(({ instances }) => instances).find(({ sopInstanceUid }) => sopInstanceUid === place?.sopInstanceUid);
    if (!place || !instance) throw new AppError('instance-not-found', { detail: 'The image that this result was read from is not stored.' });
    return { blobKey: instance.blobKey, place };
  }

  /** What was segmented in the frame that is shown. */
  private async segmentation({ rendering, segments }: ResultRecord, { sopInstanceUid, frame }: FrameRef, language: Language): Promise<PreviewSegmentation | null> {
    const stored = rendering.segmentation;
    const slice = stored?.frames.findIndex((one) => one.sopInstanceUid === sopInstanceUid && one.frame === frame) ?? -1;
    if (!stored?.slices.some((one) => one.slice === slice)) return null;
    const packed = await this.blobs.read(stored.blobKey).catch(gone);
    return { grid: stored.grid, slices: stored.slices, packed: new Uint8Array(packed), slice, segments: shownSegments(stored.members, segments, language) };
  }

  private async heatMap({ heatMap }: PreviewSubject): Promise<HeatMap | null> {
    if (!heatMap) return null;
    const { blobKey, width, height, offset } = heatMap;
    return { width, height, data: heatMapValues(await this.blobs.read(blobKey).catch(gone), offset, width * height) };
  }
}

/** Many segments are many of one kind, which need no names; a few are parts of one. Those that a person disagrees with are not shown; the others keep their colours. */
function shownSegments(members: StoredSegmentation['members'], segments: readonly Segment[], language: Language): SegmentPlane['segments'] {
  const [first = [0, 0, 0]] = SEGMENT_COLOURS;
  const known = members.map(({ segment, values }) => ({ values, described: segments.find(({ number }) => number === segment) }));
  const stands = ({ described }: (typeof known)[number]): boolean => described?.review?.state !== 'disagreed';
  if (!overlap(members)) return [{ name: '', values: known.filter(stands).flatMap(({ values }) => values), colour: first }];
  return known
    .map(({ described, values }, index) => ({ described, values, colour: SEGMENT_COLOURS[index % SEGMENT_COLOURS.length] ?? first }))
    .filter(stands)
    .map(({ described, values, colour }) => ({ name: displayNameOf(described?.name ?? '', language), values, colour }));
}

/** Whether segments are parts of one another. */
function overlap(members: StoredSegmentation['members']): boolean {
  const values = members.flatMap((member) => member.values);
  return new Set(values).size < values.length;
}
