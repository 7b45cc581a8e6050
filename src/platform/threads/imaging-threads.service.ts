import { Inject, Injectable, Optional, type OnApplicationShutdown } from '@nestjs/common';
import type { PixelFrame } from '../../imaging/dicom/pixels.js';
import type { StoredFrame } from '../../imaging/dicom/transcode-frame.js';
import type { GateOutcome } from '../../imaging/report/gate.js';
import type { DeriveInput } from './derive.js';
import type { FrameSource, PreviewOptions, RasterImage, RenderOptions } from './imaging-tasks.js';
import type { ReportDocument } from '../../imaging/report/document.js';
import type { Planes, SectionPlan } from '../../imaging/render/sections.js';
import type { PackedSegmentation } from '../../imaging/volume/packed-labels.js';
import type { SectionPreview } from './section-preview.js';
import type { CutSections, SectionsOfObject } from './sections.js';
import type { ImagingTask } from './thread.js';
import type { RegistrationKind } from '../../imaging/volume/register/register.js';
import type { Alignment, SeriesSource } from './align.js';
import type { TrendChart } from './trend-chart.js';
import { threadEntry } from './thread-entry.js';
import { ThreadPool, type TaskOptions, type ThreadPoolOptions } from './thread-pool.js';

export type { Alignment, SeriesSource } from './align.js';
export type { TrendChart } from './trend-chart.js';
export type { DeriveInput } from './derive.js';
export type { FrameSource, PreviewOptions, RasterImage, RenderOptions } from './imaging-tasks.js';

/** Two large volumes take a while to decode. */
const ALIGN_LIMIT_MS = 5 * 60_000;

/** Provider token of the pool's options; two threads without it. */
export const IMAGING_THREADS_OPTIONS = Symbol('IMAGING_THREADS_OPTIONS');

/** Decoding, rendering and picture reading in worker threads, off the event loop and without ONNX Runtime. */
@Injectable()
export class ImagingThreads implements OnApplicationShutdown {
  private readonly pool: ThreadPool;

  constructor(@Optional() @Inject(IMAGING_THREADS_OPTIONS) options?: Partial<ThreadPoolOptions>) {
    this.pool = new ThreadPool(threadEntry(import.meta.url, './thread'), { threads: 2, ...options });
  }

  /**
   * Stored values of one frame.
   *
   * @param source  copied to the thread, unless a SharedArrayBuffer backs it
   * @param frame  from 0
   * @throws AppError of the parser (`parseInstance`) and of `decodeFrame`; `overloaded`, `processing-timeout`, `thread-lost`
   */
  async decode(source: FrameSource, frame: number, options?: TaskOptions): Promise<PixelFrame> {
    // The thread answers a decode task with a frame.
    return (await this.run({ kind: 'decode', source, frame }, options)) as PixelFrame;
  }

  /**
   * One frame in another transfer syntax, without loss.
   *
   * @throws as `decode`; AppError `unsupported-transfer-syntax` when these samples cannot be brought into it
   */
  async transcode(source: FrameSource, frame: number, transferSyntaxUid: string, options?: TaskOptions): Promise<StoredFrame> {
    return (await this.run({ kind: 'transcode', source, frame, transferSyntaxUid }, options)) as StoredFrame;
  }

  /** The data set of a deflated file. @throws AppError `archive-bomb` beyond `maxBytes`, `truncated-file`, `invalid-dicom` */
  async inflate(deflated: Uint8Array, maxBytes: number, options?: TaskOptions): Promise<Uint8Array> {
    return (await this.run({ kind: 'inflate', deflated, maxBytes }, options)) as Uint8Array;
  }

  /** One frame as PNG or JPEG, with the heat map laid over it if there is one. Throws as `decode` does. */
  async render(source: FrameSource, options: RenderOptions, task?: TaskOptions): Promise<Buffer> {
    const bytes = (await this.run({ kind: 'render', source, options }, task)) as Uint8Array;
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** One frame with what an analysis says about it: heat map, legend, sides. PNG of at most 1024 pixels. Throws as `decode` does. */
  async preview(source: FrameSource, options: PreviewOptions, task?: TaskOptions): Promise<Buffer> {
    const bytes = (await this.run({ kind: 'preview', source, options }, task)) as Uint8Array;
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** What planes through a volume take of one of its objects. Throws as `decode` does; AppError `source-changed` for frames of another size */
  async cutSections(file: Uint8Array, sections: SectionsOfObject, task?: TaskOptions): Promise<CutSections> {
    return (await this.run({ kind: 'cut-sections', file, sections }, task)) as CutSections;
  }

  /** What they take of a stored label map; null where nothing of it lies in them. */
  async cutLabels(segmentation: Pick<PackedSegmentation, 'slices' | 'grid' | 'packed'>, plan: SectionPlan, task?: TaskOptions): Promise<Planes<Uint8Array> | null> {
    return (await this.run({ kind: 'cut-labels', segmentation, plan }, task)) as Planes<Uint8Array> | null;
  }

  /** Planes through a finding, with orientation, scale and legend. PNG of at most 1024 pixels. */
  async sectionPreview(content: SectionPreview, task?: TaskOptions): Promise<Buffer> {
    const bytes = (await this.run({ kind: 'section-preview', content }, task)) as Uint8Array;
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** A report as PDF. The same report gives the same bytes. */
  async reportPdf(report: ReportDocument, madeAt: Date, task?: TaskOptions): Promise<Buffer> {
    const bytes = (await this.run({ kind: 'report-pdf', report, madeAt }, task)) as Uint8Array;
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /**
   * Samples of a PNG or JPEG picture, 8 or 16 bits, one or three channels.
   *
   * @throws AppError `invalid-image`, `image-too-large`; `overloaded`, `processing-timeout`, `thread-lost`
   */
  async readImage(bytes: Uint8Array, options?: TaskOptions): Promise<RasterImage> {
    return (await this.run({ kind: 'read-image', bytes }, options)) as RasterImage;
  }

  /** A small chart of values over time, as PNG. */
  async trend(chart: TrendChart): Promise<Uint8Array> {
    return (await this.run({ kind: 'trend', chart })) as Uint8Array;
  }

  /**
   * Lays an earlier series upon a present one. Both are read in the thread; their bytes are moved there and gone afterwards.
   *
   * @throws AppError `invalid-dicom` when one is no volume, `image-too-large`, and those of decoding
   */
  async align(current: SeriesSource, prior: SeriesSource, freedom: RegistrationKind): Promise<Alignment> {
    const buffers = new Set([...current.instances, ...prior.instances].map(({ bytes }) => bytes.buffer).filter((buffer) => buffer instanceof ArrayBuffer));
    return (await this.run({ kind: 'align', current, prior, freedom }, { transfer: [...buffers], timeoutMs: ALIGN_LIMIT_MS })) as Alignment;
  }

  /** SEG and SR of a result, through the gate. @throws AppError `overloaded`, `processing-timeout`, `thread-lost` */
  async derive(input: DeriveInput, options?: TaskOptions): Promise<GateOutcome> {
    return (await this.run({ kind: 'derive', input }, options)) as GateOutcome;
  }

  async onApplicationShutdown(): Promise<void> {
    await this.close();
  }

  async close(): Promise<void> {
    await this.pool.close();
  }

  private run(task: ImagingTask, options?: TaskOptions): Promise<unknown> {
    return this.pool.run(task, options);
  }
}
