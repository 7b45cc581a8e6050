import { Injectable } from '@nestjs/common';
import { number } from '../../../imaging/dicom/attributes.js';
import type { DicomJson } from '../../../imaging/dicom/dicom-json.js';
import { frameAttributes } from '../../../imaging/dicom/functional-groups.js';
import { valueUnit } from '../../../imaging/dicom/transcode.js';
import { AppError } from '../../../kernel/errors.js';
import { etagOf } from '../../../platform/http/representation.js';
import { ImagingThreads, type RenderOptions } from '../../../platform/threads/imaging-threads.service.js';
import { InstanceDamage } from './instance-damage.js';
import { InstanceOpener } from './instance-opener.js';
import { MultipartBody, resumed, type Chunks } from './multipart-body.js';
import { forOneFrame, type OpenedInstance } from './opened-instance.js';
import { framesOf } from './pixel-frames.js';
import { viewportOn, type RenderingQuery } from './rendering-query.js';
import type { Conditions, NotModified } from './retrieve.service.js';
import { RetrievalStore, type InstanceScope, type RetrievalScope, type RetrievedInstance } from './retrieval.store.js';
import type { RenderedSelection } from './selection.js';
import type { Answer } from './stream-answer.js';

/** What is to be rendered. */
export interface RenderTarget {
  /** From 1; without it, of an instance the frame that stands for it. */
  frames: readonly number[] | undefined;
  query: RenderingQuery;
  isThumbnail: boolean;
}

const PAGE = 100;
const THUMBNAIL_PIXELS = 128;
const THUMBNAIL_QUALITY = 80;
/** Lookup tables of 65,536 words, which metadata leave in the object. */
const MAX_TABLE_BYTES = 256 * 1024;
/** Palettes, segmented palettes, and LUT Data. */
const TABLE_TAGS = new Set(['00281201', '00281202', '00281203', '00281221', '00281222', '00281223', '00283006']);
const REPRESENTATIVE_FRAME = '00286010';

/** Instances as pictures. @see PS3.18 §8.7.4, §10.4.1.1.3, §10.4.1.1.4 */
@Injectable()
export class RenderingService {
  constructor(
    private readonly store: RetrievalStore,
    private readonly opener: InstanceOpener,
    private readonly threads: ImagingThreads,
    private readonly damage: InstanceDamage,
  ) {}

  /**
   * One picture: of a frame, of an instance by its representative frame, of a series or study by its middle image.
   *
   * @throws AppError `not-acceptable` when there is nothing to be rendered, `not-found` for a thumbnail of it; `frame-not-found`, `invalid-query`;
   *   as `RetrievalStore.instance` does
   */
  async one(scope: RetrievalScope, target: RenderTarget, format: RenderedSelection['format'], { has }: Pick<Conditions, 'has'>): Promise<Answer | NotModified> {
    const row = isInstance(scope) ? await this.store.instance(scope) : await this.store.representative(scope);
    if (row === undefined) {
      // A resource that is not there, or one without images.
      await this.store.version(scope);
      throw noImage(target.isThumbnail);
    }
    const { query, frames, isThumbnail } = target;
    const etag = etagOf('rendered', row.sha256, String(frames?.[0] ?? ''), format, isThumbnail ? 'thumbnail' : '', JSON.stringify([query.window, query.viewport, query.quality]));
    if (has(etag)) return { etag };
    if (!row.hasPixels) throw noImage(isThumbnail);
    const opened = await this.damage.naming(row, () => this.opener.open(row));
    try {
      const bytes = await this.damage.naming(row, () => this.rendered(opened, frames?.[0], target, format));
      return { status: 200, headers: { 'Content-Type': `image/${format}`, 'ETag': etag, ...warningOf(query) }, body: bytes };
    } finally {
      await opened.close();
    }
  }

  /**
   * All pictures of a resource, or the frames that were asked for, a part each. Of several images those that cannot be rendered
   * as asked are left out.
   *
   * @throws AppError `not-acceptable` when there is nothing to be rendered; as `one` does, for the first image when no other is left
   */
  async all(scope: RetrievalScope, target: RenderTarget, format: RenderedSelection['format'], instanceUrl: (row: RetrievedInstance) => string): Promise<Answer> {
    const first = await this.store.page(scope, { after: undefined, limit: PAGE });
    if (first.length === 0) return this.store.explainMissing(scope);
    const body = new MultipartBody(`image/${format}`);
    const parts = this.parts(scope, first, { target, format, body, instanceUrl });
    const start = await parts.next();
    if (start.done === true) throw noImage(false);
    return { status: 200, headers: { 'Content-Type': body.contentType, ...warningOf(target.query) }, body: resumed(start.value, parts, body) };
  }

  private async *parts(scope: RetrievalScope, first: readonly RetrievedInstance[], how: { target: RenderTarget; format: RenderedSelection['format']; body: MultipartBody; instanceUrl: (row: RetrievedInstance) => string }): AsyncGenerator<Chunks> {
    const { target, format, body, instanceUrl } = how;
    let isEmpty = true;
    let refusal: AppError | undefined;
    for (let page = first; ;) {
      for (const row of page.filter(({ hasPixels }) => hasPixels)) {
        const opened = await this.openedStill(row, scope);
        if (opened === undefined) continue;
        try {
          // All of them before the first is sent.
          if (target.frames !== undefined) assertFrames(opened, target.frames);
          for (const frame of target.frames ?? allFrames(opened)) {
            const picture = await this.damage.naming(row, () => this.rendered(opened, frame, target, format)).catch((error: unknown) => leftOut(error, target));
            if (picture instanceof AppError) {
              refusal ??= picture;
              continue;
            }
            isEmpty = false;
            yield [body.head({ contentType: `image/${format}`, contentLocation: `${instanceUrl(row)}/frames/${String(frame)}/rendered` }), picture];
          }
        } finally {
          await opened.close();
        }
      }
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE) break;
      page = await this.store.page(scope, { after: last.id, limit: PAGE });
    }
    if (isEmpty && refusal) throw refusal;
  }

  /** undefined when one of several was replaced or removed meanwhile. */
  private async openedStill(row: RetrievedInstance, scope: RetrievalScope): Promise<OpenedInstance | undefined> {
    return this.damage.naming(row, () => this.opener.open(row)).catch((error: unknown) => {
      if (!isInstance(scope) && error instanceof AppError && error.code === 'instance-not-found') return undefined;
      throw error;
    });
  }

  private async rendered(opened: OpenedInstance, number: number | undefined, { query, isThumbnail }: RenderTarget, format: RenderedSelection['format']): Promise<Uint8Array> {
    try {
      const frame = number ?? representativeFrame(opened);
      assertFrames(opened, [frame]);
      const attributes = displayAttributes(await withTables(opened), frame - 1);
      const frameBytes = await opened.frame(frame - 1);
      return await this.threads.render({ parsed: forOneFrame(opened.parsed, attributes), frameBytes }, options(opened, frame - 1, { query, isThumbnail, format }));
    } catch (error) {
      if (!(error instanceof AppError) || error.status !== 422) throw error;
      throw new AppError('not-acceptable', { detail: `The image cannot be rendered: ${error.message}.`, cause: error });
    }
  }
}

/** Among all images of a resource, those that cannot be rendered, or have no such region, are left out; those that were asked for by number are not. */
function leftOut(error: unknown, { frames }: RenderTarget): AppError {
  if (frames === undefined && error instanceof AppError && (error.code === 'not-acceptable' || error.code === 'invalid-query')) return error;
  throw error;
}

/** @throws AppError `frame-not-found` unless all of them are there; as `framesOf` does */
function assertFrames(opened: OpenedInstance, numbers: readonly number[]): void {
  const count = framesOf(opened);
  if (numbers.some((number) => number > count)) throw new AppError('frame-not-found', { detail: `The instance has ${String(count)} frames.` });
}

/** None where nobody can tell how many. */
function allFrames(opened: OpenedInstance): number[] {
  try {
    return Array.from({ length: framesOf(opened) }, (_, i) => i + 1);
  } catch {
    return [];
  }
}

function options({ parsed }: OpenedInstance, frame: number, { query, isThumbnail, format }: { query: RenderingQuery; isThumbnail: boolean; format: RenderedSelection['format'] }): RenderOptions {
  const image = { rows: number(parsed.attributes, 'Rows') ?? 0, columns: number(parsed.attributes, 'Columns') ?? 0 };
  const quality = query.quality ?? (isThumbnail ? THUMBNAIL_QUALITY : undefined);
  return {
    frame, format,
    ...(query.window !== undefined && { window: query.window }),
    ...(quality !== undefined && { quality }),
    ...(query.viewport !== undefined ? { viewport: viewportOn(query.viewport, image) } : isThumbnail ? { maxWidth: THUMBNAIL_PIXELS, maxHeight: THUMBNAIL_PIXELS } : {}),
  };
}

/** Representative Frame Number where the object has one, else the middle. */
function representativeFrame(opened: OpenedInstance): number {
  const count = framesOf(opened);
  const given = number(opened.parsed.attributes, REPRESENTATIVE_FRAME);
  return given !== undefined && Number.isInteger(given) && given >= 1 && given <= count ? given : Math.floor(count / 2) + 1;
}

/** The attributes with the lookup tables that lie in the object. */
async function withTables(opened: OpenedInstance): Promise<DicomJson> {
  const { attributes, bulkData, encoding } = opened.parsed;
  for (const entry of bulkData) {
    if (entry.length > MAX_TABLE_BYTES || !TABLE_TAGS.has(entry.path.slice(-8))) continue;
    const parts: Uint8Array[] = [];
    for await (const chunks of opened.value(entry, encoding.littleEndian ? 1 : valueUnit(entry.vr))) parts.push(...chunks);
    place(attributes, entry.path, { vr: entry.vr, InlineBinary: Buffer.concat(parts).toString('base64') });
  }
  return attributes;
}

/** Puts an element where a path such as `00283000/0/00283006` points. */
function place(attributes: DicomJson, path: string, element: DicomJson[string]): void {
  const steps = path.split('/');
  let item = attributes;
  for (let at = 0; at + 2 < steps.length; at += 2) {
    // The values of SQ are items; the reader writes nothing else there.
    const next = item[steps[at] ?? '']?.Value?.[Number(steps[at + 1])] as DicomJson | undefined;
    if (next === undefined) return;
    item = next;
  }
  item[steps.at(-1) ?? ''] = element;
}

/** What decoding and display of one frame read: the groups of the image and of its presentation, functional groups merged. */
function displayAttributes(attributes: DicomJson, frame: number): DicomJson {
  const merged = frameAttributes(attributes, frame);
  return Object.fromEntries(Object.entries(merged).filter(([tag]) => tag.startsWith('0028') || tag.startsWith('2050')));
}

function isInstance(scope: RetrievalScope): scope is InstanceScope {
  return scope.sopInstanceUid !== undefined;
}

/** @see PS3.18 §10.4.3 */
function noImage(isThumbnail: boolean): AppError {
  return isThumbnail ? new AppError('not-found', { detail: 'There is no image to make a thumbnail of.' }) : new AppError('not-acceptable', { detail: 'There is no image to render.' });
}

/** @see PS3.18 §8.3.5.1.1 */
function warningOf({ warnings }: RenderingQuery): Record<string, string> {
  return warnings.length === 0 ? {} : { Warning: warnings.map((warning) => `299 dicom-web: ${warning}`).join(', ') };
}
