import { Injectable } from '@nestjs/common';
import { number } from '../../../imaging/dicom/attributes.js';
import type { ParsedInstance } from '../../../imaging/dicom/header.js';
import { frameLocation } from '../../../imaging/dicom/frame-location.js';
import { frameCount } from '../../../imaging/dicom/pixels.js';
import { fragmentHeader, planRewrite, type ElementChanges, type NestedImage, type Piece, type PixelTarget, type RewritePlan } from '../../../imaging/dicom/transcode.js';
import { formatChanges, isSameFormat, nestedChanges, pixelVrOf, type StoredFrame } from '../../../imaging/dicom/transcode-frame.js';
import { EXPLICIT_LITTLE } from '../../../imaging/dicom/transfer-syntax.js';
import { AppError } from '../../../kernel/errors.js';
import { ImagingThreads } from '../../../platform/threads/imaging-threads.service.js';
import { driven, InstanceOpener } from './instance-opener.js';
import type { Chunks } from './multipart-body.js';
import { forOneFrame, type OpenedInstance } from './opened-instance.js';
import type { Closable } from './read-ahead.js';
import type { RetrievedInstance } from './retrieval.store.js';

/** A Part 10 file that is ready to be sent. Close it, read or not. */
export interface PreparedFile extends Closable {
  transferSyntaxUid: string;
  /** undefined where it is not known before the last frame is compressed. */
  sizeBytes: number | undefined;
  chunks(): AsyncGenerator<Chunks>;
}

/** Length of a value in 32 bits, of which one value stands for "undefined". */
const MAX_VALUE_BYTES = 0xfffffffe;
/** The next frame is in a thread while one is sent, unless it is as large as this. */
const LARGE_FRAME_BYTES = 8 << 20;

/** Stored instances in other transfer syntaxes. */
@Injectable()
export class TranscodingService {
  constructor(
    private readonly opener: InstanceOpener,
    private readonly threads: ImagingThreads,
  ) {}

  /**
   * Prepares an instance in another transfer syntax, its first frame included.
   *
   * @throws AppError `not-acceptable` when it cannot be brought into it; as `InstanceOpener.open` does
   */
  async prepare(row: RetrievedInstance, transferSyntaxUid: string): Promise<PreparedFile> {
    const opened = await this.opener.openPixels(row);
    try {
      return await this.prepared(opened, transferSyntaxUid);
    } catch (error) {
      await opened.close();
      throw asNotAcceptable(error);
    }
  }

  /** One frame in another transfer syntax, by a thread. @throws as `ImagingThreads.transcode` */
  async frame(opened: OpenedInstance, frameIndex: number, transferSyntaxUid: string): Promise<StoredFrame> {
    return this.threads.transcode({ parsed: forOneFrame(opened.parsed), frameBytes: await opened.frame(frameIndex) }, frameIndex, transferSyntaxUid);
  }

  private async prepared(opened: OpenedInstance, transferSyntaxUid: string): Promise<PreparedFile> {
    const { parsed } = opened;
    const keepsPixels = transferSyntaxUid === EXPLICIT_LITTLE && parsed.pixelData?.encoding !== 'encapsulated';
    const frames = keepsPixels ? undefined : frameCount(parsed);
    const first = frames === undefined ? undefined : await this.frame(opened, 0, transferSyntaxUid);
    const pixels = pixelTarget(parsed, transferSyntaxUid, first, frames ?? 0);
    const plan = await this.plan(opened, transferSyntaxUid, pixels, first === undefined ? new Map() : formatChanges(parsed, first.format));
    const isFragmented = pixels.form === 'encapsulated';
    return {
      transferSyntaxUid,
      sizeBytes: isFragmented ? undefined : plan.length + (pixels.form === 'native' ? pixels.bytes : 0),
      chunks: () => this.chunks(opened, plan.pieces, () => (first === undefined || frames === undefined ? nothing() : this.frames(opened, { first, frames, transferSyntaxUid, isFragmented }))),
      close: () => opened.close(),
    };
  }

  private async plan(opened: OpenedInstance, transferSyntaxUid: string, pixels: PixelTarget, changes: ElementChanges): Promise<RewritePlan> {
    const { parsed } = opened;
    const { sopClassUid, sopInstanceUid } = parsed;
    const attempt = (itemChanges: ReadonlyMap<number, ElementChanges>): Promise<RewritePlan> => driven({ read: (stretch) => opened.readFile(stretch) },
      planRewrite({ ...parsed, size: opened.sizeBytes }, { transferSyntaxUid, sopClassUid, sopInstanceUid, changes, pixels, itemChanges }));
    const plan = await attempt(new Map());
    if (plan.nestedImages.length === 0) return plan;
    const itemChanges = new Map<number, ElementChanges>();
    for (const image of plan.nestedImages) itemChanges.set(image.itemOffset, await this.decompressedItem(opened, image));
    return attempt(itemChanges);
  }

  private async decompressedItem(opened: OpenedInstance, { attributes, fragments, vr }: NestedImage): Promise<ElementChanges> {
    const image: ParsedInstance = { ...opened.parsed, attributes, pixelData: { encoding: 'encapsulated', element: 'PixelData', vr, basicOffsets: [], fragments: [...fragments] } };
    const frames: StoredFrame[] = [];
    for (let index = 0; index < frameCount(image); index++) {
      const frameBytes = await opened.joined(frameLocation(image, index));
      frames.push(await this.threads.transcode({ parsed: forOneFrame(image), frameBytes }, index, EXPLICIT_LITTLE));
    }
    return nestedChanges(image, frames);
  }

  private async *chunks(opened: OpenedInstance, pieces: readonly Piece[], frames: () => AsyncGenerator<Chunks>): AsyncGenerator<Chunks> {
    for (const piece of pieces) {
      if (piece.kind === 'bytes') yield [piece.bytes];
      else if (piece.kind === 'copy') yield* opened.value(piece, piece.unit);
      else yield* frames();
    }
  }

  private async *frames(opened: OpenedInstance, wanted: { first: StoredFrame; frames: number; transferSyntaxUid: string; isFragmented: boolean }): AsyncGenerator<Chunks> {
    const { first, frames, transferSyntaxUid, isFragmented } = wanted;
    const depth = first.bytes.length > LARGE_FRAME_BYTES ? 1 : 2;
    const ahead: Promise<StoredFrame>[] = [Promise.resolve(first)];
    for (let next = 1; ;) {
      for (; next < frames && ahead.length < depth; next++) {
        const coming = this.frame(opened, next, transferSyntaxUid);
        // Met in its turn, and no unhandled rejection until then.
        coming.catch(() => undefined);
        ahead.push(coming);
      }
      const frame = await ahead.shift();
      if (frame === undefined) return;
      // The header before them was written for frames like the first.
      if (!isSameFormat(frame.format, first.format) || (!isFragmented && frame.bytes.length !== first.bytes.length)) throw new AppError('invalid-pixel-data', { detail: 'The frames are of different kinds' });
      yield isFragmented ? [fragmentHeader(frame.bytes.length), frame.bytes, new Uint8Array(frame.bytes.length % 2)] : [frame.bytes];
    }
  }
}

function pixelTarget(parsed: ParsedInstance, transferSyntaxUid: string, first: StoredFrame | undefined, frames: number): PixelTarget {
  if (first === undefined) return { form: 'kept', bitsAllocated: number(parsed.attributes, 'BitsAllocated') ?? 16 };
  if (transferSyntaxUid !== EXPLICIT_LITTLE) return { form: 'encapsulated' };
  const bytes = first.bytes.length * frames;
  if (bytes > MAX_VALUE_BYTES) throw new AppError('not-acceptable', { detail: 'The uncompressed image is too large for one value.' });
  return { form: 'native', vr: pixelVrOf(first.format), bytes };
}

async function *nothing(): AsyncGenerator<Chunks> {
  // An object without frames of its own making.
}

/** What cannot be converted is still there: a client that accepts it as it is stored gets it. @see PS3.18 §8.7.8.1 */
export function asNotAcceptable(error: unknown): unknown {
  if (!(error instanceof AppError) || error.status !== 422) return error;
  return new AppError('not-acceptable', { detail: `The instance cannot be converted: ${error.message}. It can be retrieved with transfer-syntax=*.`, cause: error });
}
