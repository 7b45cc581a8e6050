import { Inject, Injectable } from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import { text } from '../../../imaging/dicom/attributes.js';
import { describeSeries, type SeriesDescription } from '../../../imaging/volume/describe.js';
import { AppError } from '../../../kernel/errors.js';
import { LOGGER, type Logger } from '../../../platform/ops/logger.js';
import { Turns } from '../../../platform/limits/turns.js';
import { ImagingThreads, type SeriesSource } from '../../../platform/threads/imaging-threads.service.js';
import { StudyReader, type StoredInstance } from '../../images/images.contract.js';
import type { ResultRecord } from '../results.store.js';
import { AlignmentStore, type StoredAlignment } from './alignment.store.js';

const SAME = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]] as const;
/** Registration looks no closer, so thinner slices are not read. Millimetres. */
const FINEST_MM = 2;
const READ_AT_ONCE = 8;
/** Two whole series lie in memory while they are aligned, and every report that is opened may ask for it. */
const AT_ONCE = 1;
/** Under which share the images show different places. */
const LEAST_OVERLAP = 0.25;
/** What is wrong with images, not with us. */
const UNFIT: ReadonlySet<string> = new Set(['invalid-dicom', 'image-too-large', 'invalid-pixel-data', 'pixel-data-undecodable', 'unsupported-transfer-syntax', 'unsupported-photometric', 'blob-missing', 'key-destroyed', 'truncated-file']);

interface Images {
  described: SeriesDescription;
  instances: ReadonlyMap<string, StoredInstance>;
  frameOfReferenceUid: string | undefined;
}

/** Lays the images of a result upon those of an earlier one, once. */
@Injectable()
export class AlignmentService {
  private readonly running = new Map<string, Promise<StoredAlignment>>();
  private readonly turns = new Turns();

  constructor(
    private readonly store: AlignmentStore,
    private readonly studies: StudyReader,
    private readonly threads: ImagingThreads,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** Takes seconds the first time. @throws AppError `overloaded`, `processing-timeout`, `too-many-requests` and those of the stores */
  async of(current: ResultRecord, prior: ResultRecord): Promise<StoredAlignment> {
    const known = await this.store.find(current.institutionId, current.id, prior.id);
    if (known) return known;
    const key = `${current.id}/${prior.id}`;
    const running = this.running.get(key) ?? this.work(current, prior).finally(() => { this.running.delete(key); });
    this.running.set(key, running);
    return running;
  }

  /** What is known already, which may be nothing. */
  known(current: ResultRecord, prior: ResultRecord): Promise<StoredAlignment | null> {
    return this.store.find(current.institutionId, current.id, prior.id);
  }

  /** null when it takes longer, or fails: the work goes on, and whoever asks again finds it. */
  async within(current: ResultRecord, prior: ResultRecord, patienceMs: number): Promise<StoredAlignment | null> {
    const aligned = this.of(current, prior).catch((err: unknown) => {
      this.logger.warn({ err, resultId: current.id, priorResultId: prior.id }, 'two results could not be aligned');
      return null;
    });
    return Promise.race([aligned, sleep(patienceMs, null, { ref: false })]);
  }

  private async work(current: ResultRecord, prior: ResultRecord): Promise<StoredAlignment> {
    const alignment = await this.align(current, prior);
    await this.store.save(current.institutionId, current.id, prior.id, alignment);
    return alignment;
  }

  private async align(current: ResultRecord, prior: ResultRecord): Promise<StoredAlignment> {
    const [now, before] = [await this.imagesOf(current), await this.imagesOf(prior)];
    if (now === undefined || before === undefined) return none('The results were not read from volumes that are stored.');
    if (now.frameOfReferenceUid !== undefined && now.frameOfReferenceUid === before.frameOfReferenceUid) return { method: 'same-frame-of-reference', toPrior: SAME };
    // Lungs are filled more or less; a skull keeps its size.
    const method = current.analysis === 'brain-tumour-segmentation' ? 'rigid' : 'affine';
    try {
      const { toPrior, overlap } = await this.turns.run('align', AT_ONCE, async () => this.threads.align(await this.read(now), await this.read(before), method));
      return overlap < LEAST_OVERLAP ? none('The images show different places.') : { method, toPrior, overlap: Math.round(overlap * 1000) / 1000 };
    } catch (err) {
      if (!(err instanceof AppError) || !UNFIT.has(err.code)) throw err;
      this.logger.warn({ err, resultId: current.id, priorResultId: prior.id }, 'the images of two results cannot be aligned');
      return none(`The images cannot be read (${err.code}).`);
    }
  }

  private async imagesOf(record: ResultRecord): Promise<Images | undefined> {
    const uid = seriesOf(record);
    const study = uid === undefined ? null : await this.studies.find(record.institutionId, record.studyInstanceUid);
    const series = study?.series.find(({ seriesInstanceUid }) => seriesInstanceUid === uid);
    if (!series) return undefined;
    const described = describeSeries(series.instances);
    if (described.fault) return undefined;
    return {
      described, instances: new Map(series.instances.map((instance) => [instance.sopInstanceUid, instance])),
      frameOfReferenceUid: text(series.instances[0]?.attributes ?? {}, 'FrameOfReferenceUID'),
    };
  }

  private async read({ described: { frames, spacingMm }, instances }: Images): Promise<SeriesSource> {
    const step = Math.max(1, Math.floor(FINEST_MM / (spacingMm ?? FINEST_MM)));
    const taken = frames.filter((_, i) => i % step === 0);
    const names = [...new Set(taken.map(({ sopInstanceUid }) => sopInstanceUid))];
    const read: { sopInstanceUid: string; bytes: Uint8Array }[] = [];
    for (let at = 0; at < names.length; at += READ_AT_ONCE) {
      read.push(...(await Promise.all(names.slice(at, at + READ_AT_ONCE).map(async (sopInstanceUid) => ({ sopInstanceUid, bytes: new Uint8Array(await this.studies.readInstance(instances.get(sopInstanceUid)?.blobKey ?? '')) })))));
    }
    return { frames: taken, instances: read };
  }
}

/** The series whose space the findings lie in; undefined for results of single images. */
function seriesOf({ rendering, provenance }: ResultRecord): string | undefined {
  if (rendering.segmentation) return rendering.segmentation.seriesInstanceUid;
  // Written by the analyses, each in its way; older versions of the product wrote none.
  const { selection, reference } = (provenance.details ?? {}) as { selection?: unknown; reference?: unknown };
  const listed = Array.isArray(selection) ? selection : (selection as { series?: unknown } | undefined)?.series;
  const series = (Array.isArray(listed) ? listed : []) as { role?: string; seriesInstanceUid?: string }[];
  const found = series.find(({ role }) => role === reference) ?? series[0];
  return found?.role === 'radiograph' ? undefined : found?.seriesInstanceUid;
}

function none(reason: string): StoredAlignment {
  return { method: 'none', toPrior: SAME, reason };
}
