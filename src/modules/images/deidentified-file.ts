import { blackOutFrame } from '../../imaging/dicom/deidentify/black-out.js';
import type { FilePiece } from '../../imaging/dicom/deidentify/file-plan.js';
import { parseInstance, type ParsedInstance } from '../../imaging/dicom/header.js';
import { frameCount, frameLocation, type PixelFrame } from '../../imaging/dicom/pixels.js';
import { AppError } from '../../kernel/errors.js';
import type { BlobReader } from '../../platform/storage/blob-store.js';
import type { ImagingThreads } from '../../platform/threads/imaging-threads.service.js';

/** A multiple of eight, as the changes of `file-plan` want it, and of the chunks that blobs are encrypted in. */
const STRETCH_BYTES = 256 * 1024;

/** The original of an instance, opened. */
export interface Original {
  reader: BlobReader;
  parsed: ParsedInstance;
}

/** @throws AppError of the parser and of the blob store */
export async function readHeader(reader: BlobReader): Promise<ParsedInstance> {
  const parser = parseInstance(reader.sizeBytes);
  let step = parser.next();
  while (step.done !== true) step = parser.next(await reader.read(step.value));
  return step.value;
}

/** One frame, decoded in a thread. @throws AppError as `ImagingThreads.decode` does */
export async function decodedFrame(original: Original, threads: ImagingThreads, frame: number): Promise<PixelFrame> {
  const { parsed } = original;
  const ranges = frameLocation(parsed, frame);
  const bytes = await Promise.all(ranges.map((range) => stretchOf(original, range.offset, range.length)));
  const [only] = bytes;
  return threads.decode({ parsed: described(parsed), frameBytes: bytes.length === 1 && only !== undefined ? only : Buffer.concat(bytes) }, frame);
}

/** What a thread needs of a header: threads get copies, and who the patient is stays here. */
function described(parsed: ParsedInstance): ParsedInstance {
  const { pixelData, inflated: _, ...rest } = parsed;
  return {
    ...rest,
    attributes: Object.fromEntries(Object.entries(parsed.attributes).filter(([tag]) => tag.startsWith('0028'))),
    bulkData: [],
    pixelData: pixelData?.encoding === 'encapsulated' ? { encoding: 'encapsulated', element: pixelData.element, vr: pixelData.vr, basicOffsets: [], fragments: [] } : pixelData,
  };
}

/**
 * The bytes of a file that `filePlanOf` planned, a stretch at a time.
 *
 * @param firstFrame  that the plan was made with
 * @throws AppError of the blob store and of `decodedFrame`; `invalid-pixel-data` when a later frame is of another form than the first
 */
export async function* writtenFile(pieces: readonly FilePiece[], original: Original, threads: ImagingThreads, firstFrame: PixelFrame | undefined): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) {
    if (piece.kind === 'bytes') yield piece.bytes;
    else if (piece.kind === 'copy') {
      const change = piece.change?.();
      for (let at = 0; at < piece.length; at += STRETCH_BYTES) {
        const stretch = await stretchOf(original, piece.offset + at, Math.min(STRETCH_BYTES, piece.length - at));
        yield change?.(stretch, at) ?? stretch;
      }
    } else if (firstFrame !== undefined) {
      for (let index = 0; index < frameCount(original.parsed); index++) {
        const frame = index === 0 ? firstFrame : await decodedFrame(original, threads, index);
        if (frame.pixels.byteLength !== firstFrame.pixels.byteLength) throw new AppError('invalid-pixel-data', { detail: 'The frames differ in their form' });
        blackOutFrame(frame, piece.area);
        yield new Uint8Array(frame.pixels.buffer, frame.pixels.byteOffset, frame.pixels.byteLength);
      }
    }
  }
}

/** @throws AppError `blob-corrupt` when the original is shorter than its header says */
async function stretchOf({ reader, parsed }: Original, offset: number, length: number): Promise<Uint8Array> {
  const bytes = parsed.inflated?.subarray(offset, offset + length) ?? (await reader.read({ offset, length }));
  if (bytes.length !== length) throw new AppError('blob-corrupt', { detail: 'A stored object is shorter than it was.' });
  return bytes;
}
