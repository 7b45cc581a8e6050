import { Injectable } from '@nestjs/common';
import { number, text } from '../../../imaging/dicom/attributes.js';
import type { BulkDataEntry, PixelDataLocation } from '../../../imaging/dicom/header.js';
import { pixelUnit, valueUnit, type ByteUnit } from '../../../imaging/dicom/transcode.js';
import { EXPLICIT_LITTLE } from '../../../imaging/dicom/transfer-syntax.js';
import { AppError } from '../../../kernel/errors.js';
import { PIXEL_TAGS } from '../instance-layout.js';
import { contentRange, requestedStretch, type Stretch } from './byte-range.js';
import { InstanceDamage } from './instance-damage.js';
import { InstanceOpener } from './instance-opener.js';
import type { Acceptance } from './media-types.js';
import { MultipartBody, resumed, type Chunks } from './multipart-body.js';
import type { OpenedInstance } from './opened-instance.js';
import { framesAs, framesOf } from './pixel-frames.js';
import { coalesced } from './read-ahead.js';
import type { Conditions, NotModified } from './retrieve.service.js';
import { RetrievalStore, type InstanceScope, type RetrievalScope, type RetrievedInstance } from './retrieval.store.js';
import { OCTET_STREAM, selectPixels, selectValue, type PixelSelection } from './selection.js';
import type { Answer } from './stream-answer.js';
import { TranscodingService } from './transcoding.service.js';

const PAGE = 100;
const LEAST_WRITE_BYTES = 128 * 1024;
const ENCAPSULATED_DOCUMENT = '00420011';
const PATH = /^[0-9A-F]{8}(\/\d{1,6}\/[0-9A-F]{8})*$/;

/** Everything of an instance that is not among its metadata: frames, and values that were left in the object. @see PS3.18 §8.7.3.3, §10.4 */
@Injectable()
export class BulkDataService {
  constructor(
    private readonly store: RetrievalStore,
    private readonly opener: InstanceOpener,
    private readonly transcoding: TranscodingService,
    private readonly damage: InstanceDamage,
  ) {}

  /**
   * Frames, each in a part of its own, or one alone.
   *
   * @param numbers  from 1
   * @param instanceUrl  where the instance lies
   * @throws AppError `frame-not-found` when one of them is not there; `not-acceptable`; as `RetrievalStore.instance` does
   */
  async frames(scope: InstanceScope, numbers: readonly number[], acceptance: Acceptance, { has }: Conditions, instanceUrl: string): Promise<Answer | NotModified> {
    const row = await this.store.instance(scope);
    const selection = selectPixels(acceptance, row.transferSyntaxUid, { several: numbers.length > 1, usual: 'multipart' });
    if (selection === undefined) throw new AppError('not-acceptable', { detail: 'The frames cannot be sent in an accepted media type and transfer syntax.' });
    const etag = `${selection.packaging === 'multipart' ? 'W/' : ''}"${row.sha256}-${numbers.join('.')}-${selection.mediaType}-${selection.transferSyntaxUid}"`;
    if (has(etag)) return { etag };
    return this.opened(row, 'pixels', (opened) => {
      const count = framesOf(opened);
      if (numbers.some((number) => number > count)) throw new AppError('frame-not-found', { detail: `The instance has ${String(count)} frames.` });
      return this.frameAnswer(opened, { numbers, selection, etag, frameUrl: (number) => `${instanceUrl}/frames/${String(number)}` });
    });
  }

  /**
   * A value by its path, as metadata refer to it: `7FE00010`, `54000100/0/54001010`.
   *
   * @throws AppError `bulk-data-not-found`, `not-acceptable`, `range-not-satisfiable`; as `RetrievalStore.instance` does
   */
  async value(scope: InstanceScope, path: string, acceptance: Acceptance, conditions: Conditions, instanceUrl: string): Promise<Answer | NotModified> {
    const tagPath = path.toUpperCase();
    if (!PATH.test(tagPath)) throw new AppError('bulk-data-not-found');
    const row = await this.store.instance(scope);
    return this.opened(row, tagPath === ENCAPSULATED_DOCUMENT ? 'all' : 'pixels', (opened) => {
      const url = `${instanceUrl}/bulkdata/${tagPath}`;
      if (isPixelPath(opened, tagPath)) return this.pixelData(row, opened, acceptance, conditions, url);
      const entry = opened.parsed.bulkData.find((one) => one.path === tagPath);
      if (entry === undefined) throw new AppError('bulk-data-not-found');
      const selection = selectValue(acceptance, mediaTypesOf(opened, tagPath));
      if (selection === undefined) throw new AppError('not-acceptable', { detail: 'The value is sent as application/octet-stream.' });
      return this.valueAnswer(row, opened, { value: entry, unit: entryUnit(opened, entry), url, ...selection }, conditions);
    });
  }

  /**
   * Bulk data of a whole resource, a part each; or the pixel data of it alone, which come as frames where they are compressed.
   *
   * @throws AppError `not-acceptable`; `bulk-data-not-found` when there is none; `study-not-found`, `series-not-found`, `instance-not-found`
   * @see PS3.18 §10.4.3.3.5
   */
  async all(scope: RetrievalScope, what: 'bulk-data' | 'pixel-data', acceptance: Acceptance, instanceUrl: (row: RetrievedInstance) => string): Promise<Answer> {
    const first = await this.store.page(scope, { after: undefined, limit: PAGE });
    const [one] = first;
    if (one === undefined) return this.store.explainMissing(scope);
    const selection = selectPixels(acceptance, one.transferSyntaxUid, { several: true, usual: 'multipart' });
    if (selection === undefined) throw new AppError('not-acceptable', { detail: 'Bulk data are sent as parts of multipart/related.' });
    const body = new MultipartBody(selection.mediaType);
    const parts = this.allParts(scope, first, { what, acceptance, body, instanceUrl });
    // The first part decides whether there is anything.
    const start = await parts.next();
    if (start.done === true) throw new AppError('bulk-data-not-found');
    return { status: 200, headers: { 'Content-Type': body.contentType }, body: coalesced(resumed(start.value, parts, body), LEAST_WRITE_BYTES) };
  }

  private async *allParts(scope: RetrievalScope, first: readonly RetrievedInstance[], how: { what: 'bulk-data' | 'pixel-data'; acceptance: Acceptance; body: MultipartBody; instanceUrl: (row: RetrievedInstance) => string }): AsyncGenerator<Chunks> {
    for (let page = first; ;) {
      for (const row of page) {
        const opened = await this.openedStill(row);
        if (opened === undefined) continue;
        try {
          yield* this.damage.namingIn(row, this.partsOf(row, opened, how));
        } finally {
          await opened.close();
        }
      }
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE) return;
      page = await this.store.page(scope, { after: last.id, limit: PAGE });
    }
  }

  private async *partsOf(row: RetrievedInstance, opened: OpenedInstance, { what, acceptance, body, instanceUrl }: { what: 'bulk-data' | 'pixel-data'; acceptance: Acceptance; body: MultipartBody; instanceUrl: (row: RetrievedInstance) => string }): AsyncGenerator<Chunks> {
    const { pixelData, bulkData } = opened.parsed;
    const url = instanceUrl(row);
    for (const entry of what === 'bulk-data' ? bulkData : []) {
      yield [body.head({ contentType: OCTET_STREAM, contentLocation: `${url}/bulkdata/${entry.path}` })];
      yield* opened.value(entry, entryUnit(opened, entry));
    }
    if (pixelData === null) return;
    const selection = selectPixels(acceptance, row.transferSyntaxUid, { several: true, usual: 'multipart' });
    if (selection === undefined) return;
    const pixelUrl = `${url}/bulkdata/${PIXEL_TAGS[pixelData.element]}`;
    if (pixelData.encoding === 'native' && selection.transferSyntaxUid === EXPLICIT_LITTLE) {
      yield [body.head({ contentType: pixelTypeOf(selection), contentLocation: pixelUrl })];
      yield* opened.value(pixelData, unitOfPixels(opened, pixelData));
      return;
    }
    let begun = false;
    try {
      const numbers = Array.from({ length: framesOf(opened) }, (_, i) => i + 1);
      for await (const { number, bytes } of framesAs(opened, numbers, selection, this.transcoding)) {
        begun = true;
        yield [body.head({ contentType: pixelTypeOf(selection), contentLocation: `${pixelUrl}/frames/${String(number)}` }), bytes];
      }
    } catch (error) {
      // What cannot be converted is left out, but never a frame among others.
      if (begun || !(error instanceof AppError) || error.code !== 'not-acceptable') throw error;
    }
  }

  /** undefined when the instance was replaced or removed meanwhile. */
  private async openedStill(row: RetrievedInstance): Promise<OpenedInstance | undefined> {
    return this.damage.naming(row, () => this.opener.openPixels(row)).catch((error: unknown) => {
      if (error instanceof AppError && error.code === 'instance-not-found') return undefined;
      throw error;
    });
  }

  /** Hands an opened instance to `work`, whose answer closes it when it has been sent. */
  private async opened(row: RetrievedInstance, what: 'all' | 'pixels', work: (opened: OpenedInstance) => Answer | NotModified | Promise<Answer | NotModified>): Promise<Answer | NotModified> {
    const opened = await this.damage.naming(row, () => (what === 'all' ? this.opener.open(row) : this.opener.openPixels(row)));
    try {
      const answer = await this.damage.naming(row, () => Promise.resolve(work(opened)));
      if (!('body' in answer) || answer.body instanceof Uint8Array) {
        await opened.close();
        return answer;
      }
      return { ...answer, body: coalesced(this.damage.namingIn(row, closing(opened, answer.body)), LEAST_WRITE_BYTES) };
    } catch (error) {
      await opened.close();
      throw error;
    }
  }

  private pixelData(row: RetrievedInstance, opened: OpenedInstance, acceptance: Acceptance, conditions: Conditions, url: string): Answer | NotModified | Promise<Answer> {
    const { pixelData } = opened.parsed;
    if (pixelData === null) throw new AppError('bulk-data-not-found');
    const count = framesOf(opened);
    const encapsulated = pixelData.encoding === 'encapsulated';
    const selection = selectPixels(acceptance, row.transferSyntaxUid, { several: false, usual: 'single' });
    if (selection === undefined || (selection.packaging === 'single' && count > 1 && selection.transferSyntaxUid !== EXPLICIT_LITTLE)) throw new AppError('not-acceptable', { detail: 'The pixel data cannot be sent in an accepted media type and transfer syntax.' });
    if (!encapsulated && selection.transferSyntaxUid === EXPLICIT_LITTLE) {
      const { packaging, mediaType } = selection;
      return this.valueAnswer(row, opened, { value: pixelData, unit: unitOfPixels(opened, pixelData), url, packaging, mediaType }, conditions);
    }
    const etag = `W/"${row.sha256}-pixels-${selection.packaging}-${selection.mediaType}-${selection.transferSyntaxUid}"`;
    if (conditions.has(etag)) return { etag };
    const numbers = Array.from({ length: count }, (_, i) => i + 1);
    // Uncompressed, the value is one, whatever it is made of.
    if (selection.transferSyntaxUid === EXPLICIT_LITTLE) return this.decompressedAnswer(opened, { numbers, selection, etag, url });
    return this.frameAnswer(opened, { numbers, selection, etag, frameUrl: (number) => `${url}/frames/${String(number)}` });
  }

  private decompressedAnswer(opened: OpenedInstance, { numbers, selection, etag, url }: { numbers: readonly number[]; selection: PixelSelection; etag: string; url: string }): Answer {
    const contentType = pixelTypeOf(selection);
    const frames = bytesOf(framesAs(opened, numbers, selection, this.transcoding));
    if (selection.packaging === 'single') return { status: 200, headers: { 'Content-Type': contentType, 'ETag': etag }, body: frames };
    const body = new MultipartBody(selection.mediaType);
    return { status: 200, headers: { 'Content-Type': body.contentType, 'ETag': etag }, body: inPart(body, { contentType, contentLocation: url }, frames) };
  }

  private async frameAnswer(opened: OpenedInstance, { numbers, selection, etag, frameUrl }: { numbers: readonly number[]; selection: PixelSelection; etag: string; frameUrl: (number: number) => string }): Promise<Answer> {
    const frames = framesAs(opened, numbers, selection, this.transcoding);
    const contentType = pixelTypeOf(selection);
    const body = selection.packaging === 'single' ? undefined : new MultipartBody(selection.mediaType);
    const chunks = body === undefined ? bytesOf(frames) : inParts(body, contentType, frames, frameUrl);
    const headers = { 'Content-Type': body?.contentType ?? contentType, 'ETag': etag };
    if (numbers.length > 1) return { status: 200, headers, body: chunks };
    // What viewers ask for all the time: one frame, whose length is known once it is there.
    const whole: Uint8Array[] = [];
    for await (const some of chunks) whole.push(...some);
    return { status: 200, headers, body: Buffer.concat(whole) };
  }

  private valueAnswer(
    row: RetrievedInstance, opened: OpenedInstance,
    { value, unit, url, packaging, mediaType }: { value: Stretch; unit: ByteUnit; url: string; packaging: 'single' | 'multipart'; mediaType: string },
    { has, range, ifRange }: Conditions,
  ): Answer | NotModified {
    const etag = `${packaging === 'multipart' ? 'W/' : ''}"${row.sha256}-${String(value.offset)}-${mediaType}"`;
    if (has(etag)) return { etag };
    const whole = { offset: 0, length: value.length };
    const stretch = requestedStretch(range, value.length, { ifRange, etag });
    const bytes = opened.value(value, unit, stretch ?? whole);
    const status = stretch === undefined ? 200 : 206;
    const partial = stretch === undefined ? {} : { 'Content-Range': contentRange(stretch, value.length) };
    if (packaging === 'single') {
      return { status, headers: { 'Content-Type': mediaType, 'Content-Length': String((stretch ?? whole).length), 'ETag': etag, 'Accept-Ranges': 'bytes', ...partial }, body: bytes };
    }
    const body = new MultipartBody(mediaType);
    const head = { contentType: mediaType, contentLocation: url, ...(stretch !== undefined && { contentRange: contentRange(stretch, value.length) }) };
    return { status, headers: { 'Content-Type': body.contentType, 'ETag': etag }, body: inPart(body, head, bytes) };
  }
}

function isPixelPath({ parsed }: OpenedInstance, path: string): boolean {
  return parsed.pixelData !== null && PIXEL_TAGS[parsed.pixelData.element] === path;
}

/** @throws AppError `not-acceptable` for a sequence in big endian, whose bytes mean nothing in another order */
function entryUnit({ parsed }: OpenedInstance, { vr }: BulkDataEntry): ByteUnit {
  if (parsed.encoding.littleEndian) return 1;
  if (vr === 'SQ') throw new AppError('not-acceptable', { detail: 'A sequence in big endian can only be retrieved with its instance.' });
  return valueUnit(vr);
}

function unitOfPixels({ parsed }: OpenedInstance, { vr, element }: PixelDataLocation): ByteUnit {
  if (parsed.encoding.littleEndian) return 1;
  return element === 'PixelData' ? pixelUnit(vr, number(parsed.attributes, 'BitsAllocated') ?? 16) : valueUnit(vr);
}

/** A document that says so may be sent as what it is; only as PDF, since browsers run other kinds. @see PS3.3 C.24.2 */
function mediaTypesOf({ parsed }: OpenedInstance, path: string): string[] {
  const isPdf = path === ENCAPSULATED_DOCUMENT && text(parsed.attributes, 'MIMETypeOfEncapsulatedDocument')?.toLowerCase() === 'application/pdf';
  return isPdf ? [OCTET_STREAM, 'application/pdf'] : [OCTET_STREAM];
}

function pixelTypeOf({ mediaType, transferSyntaxUid }: PixelSelection): string {
  return `${mediaType}; transfer-syntax=${transferSyntaxUid}`;
}

async function* bytesOf(frames: AsyncIterable<{ bytes: Uint8Array }>): AsyncGenerator<Chunks> {
  for await (const { bytes } of frames) yield [bytes];
}

async function* inParts(body: MultipartBody, contentType: string, frames: AsyncIterable<{ number: number; bytes: Uint8Array }>, frameUrl: (number: number) => string): AsyncGenerator<Chunks> {
  for await (const { number, bytes } of frames) yield [body.head({ contentType, contentLocation: frameUrl(number) }), bytes];
  yield [body.end()];
}

async function* inPart(body: MultipartBody, head: Parameters<MultipartBody['head']>[0], bytes: AsyncIterable<Chunks>): AsyncGenerator<Chunks> {
  let before = body.head(head);
  for await (const chunks of bytes) {
    yield [before, ...chunks];
    before = new Uint8Array(0);
  }
  yield [before, body.end()];
}

async function* closing(opened: OpenedInstance, body: AsyncIterator<Chunks>): AsyncGenerator<Chunks> {
  try {
    for (let step = await body.next(); step.done !== true; step = await body.next()) yield step.value;
  } finally {
    await body.return?.();
    await opened.close();
  }
}
