import { frameCount } from '../../../imaging/dicom/pixels.js';
import { nativeFrame } from '../../../imaging/dicom/transcode-frame.js';
import { AppError } from '../../../kernel/errors.js';
import type { OpenedInstance } from './opened-instance.js';
import type { PixelSelection } from './selection.js';
import { asNotAcceptable, type TranscodingService } from './transcoding.service.js';

/** The next frame is in a thread while one is sent. */
const AHEAD = 2;

/** Frames of the instance. @throws AppError `frame-not-found` when it is no image, `not-acceptable` when it is not told how its pixels lie */
export function framesOf({ parsed }: OpenedInstance): number {
  if (parsed.pixelData === null) throw new AppError('frame-not-found', { detail: 'The instance is no image.' });
  try {
    return frameCount(parsed);
  } catch (error) {
    throw asNotAcceptable(error);
  }
}

/**
 * Frames in the selected representation, in the order given.
 *
 * @param numbers  from 1
 * @throws AppError `frame-not-found`; `not-acceptable` when a frame cannot be converted
 */
export async function* framesAs(opened: OpenedInstance, numbers: readonly number[], selection: PixelSelection, transcoding: TranscodingService): AsyncGenerator<{ number: number; bytes: Uint8Array }> {
  const ahead: { number: number; bytes: Promise<Uint8Array> }[] = [];
  for (let next = 0; ;) {
    for (; next < numbers.length && ahead.length < AHEAD; next++) {
      const number = numbers[next] ?? 1;
      const bytes = frameAs(opened, number - 1, selection, transcoding);
      bytes.catch(() => undefined);
      ahead.push({ number, bytes });
    }
    const frame = ahead.shift();
    if (frame === undefined) return;
    yield { number: frame.number, bytes: await frame.bytes };
  }
}

async function frameAs(opened: OpenedInstance, index: number, { asStored, transferSyntaxUid }: PixelSelection, transcoding: TranscodingService): Promise<Uint8Array> {
  try {
    if (!asStored) return (await transcoding.frame(opened, index, transferSyntaxUid)).bytes;
    const bytes = await opened.frame(index);
    return opened.parsed.pixelData?.encoding === 'native' ? nativeFrame(opened.parsed, bytes, index).bytes : bytes;
  } catch (error) {
    throw asNotAcceptable(error);
  }
}
