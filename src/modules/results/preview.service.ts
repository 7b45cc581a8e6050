import { Injectable } from '@nestjs/common';
import { DISCLAIMER } from '../../imaging/report/finding.js';
import type { HeatMap } from '../../imaging/render/overlay.js';
import { AppError, type Language } from '../../kernel/errors.js';
import { etagOf } from '../../platform/http/representation.js';
import { BlobStore } from '../../platform/storage/blob-store.js';
import { ImagingThreads } from '../../platform/threads/imaging-threads.service.js';
import type { PreviewLegend } from '../../platform/threads/preview.js';
import { VERSION } from '../../platform/version.js';
import { StudyReader } from '../images/images.contract.js';
import { PreviewCache } from './preview-cache.js';
import { previewSubject, type PreviewSubject, type PreviewWish } from './preview-subject.js';
import { heatMapValues } from './result-writer.js';
import type { ResultRecord } from './results.store.js';

const CACHE_BYTES = 64 * 1024 * 1024;

const EVIDENCE: Readonly<Record<Language, PreviewLegend['evidence']>> = {
  en: { title: 'Evidence in the image', weak: 'weak', strong: 'strong' },
  'zh-CN': { title: '图像中的依据', weak: '弱', strong: '强' },
};

export interface Preview {
  etag: string;
  /**
   * PNG.
   * @throws AppError `instance-not-found` when the image is gone; those of rendering
   */
  draw(): Promise<Uint8Array>;
}

/** Draws what a result says onto the image that it was read from. */
@Injectable()
export class PreviewService {
  private readonly cache = new PreviewCache(CACHE_BYTES);

  constructor(
    private readonly studies: StudyReader,
    private readonly blobs: BlobStore,
    private readonly threads: ImagingThreads,
  ) {}

  /** @throws AppError `finding-not-found` */
  of(record: ResultRecord, wish: PreviewWish, language: Language): Preview {
    const subject = previewSubject(record, wish, language);
    // A new version may draw in another way.
    const etag = etagOf(record.id, record.updatedAt.getTime(), subject.key, language, VERSION);
    return { etag, draw: () => this.cache.get(etag, () => this.drawNow(record, subject, language)) };
  }

  private async drawNow(record: ResultRecord, subject: PreviewSubject, language: Language): Promise<Uint8Array> {
    const { blobKey, frame } = await this.source(record, subject);
    const instance = await this.studies.readInstance(blobKey).catch(gone);
    const heatMap = await this.heatMap(subject);
    const { caption, value, detail } = subject;
    const legend = { caption, value, detail, disclaimer: DISCLAIMER[language], evidence: EVIDENCE[language] };
    return this.threads.preview(instance, { frame: frame - 1, legend, ...(heatMap && { heatMap }) });
  }

  /** The key image, or the image that the finding names. */
  private async source({ institutionId, studyInstanceUid, rendering }: ResultRecord, { place }: PreviewSubject): Promise<{ blobKey: string; frame: number }> {
    const { keyImage } = rendering;
    if (keyImage && (!place || place.sopInstanceUid === keyImage.sopInstanceUid)) return { blobKey: keyImage.blobKey, frame: place?.frame ?? keyImage.frame };
    const study = place && (await this.studies.find(institutionId, studyInstanceUid));
    const instance = study?.series.flatMap(({ instances }) => instances).find(({ sopInstanceUid }) => sopInstanceUid === place?.sopInstanceUid);
    if (!place || !instance) throw new AppError('instance-not-found', { detail: 'The image that this result was read from is not stored.' });
    return { blobKey: instance.blobKey, frame: place.frame };
  }

  private async heatMap({ heatMap }: PreviewSubject): Promise<HeatMap | null> {
    if (!heatMap) return null;
    const { blobKey, width, height } = heatMap;
    return { width, height, data: heatMapValues(await this.blobs.read(blobKey).catch(gone)) };
  }
}

/** Bytes that the sweep has taken belong to a study that was deleted a moment ago. */
function gone(error: unknown): never {
  if (error instanceof AppError && error.code === 'blob-missing') throw new AppError('instance-not-found', { detail: 'The image that this result was read from is not stored.', cause: error });
  throw error;
}
