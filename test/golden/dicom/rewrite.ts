import { frameLocation } from '../../../src/imaging/dicom/frame-location.js';
import { parseInstanceBytes, type ParsedInstance } from '../../../src/imaging/dicom/header.js';
import { describePixels, type Codec } from '../../../src/imaging/dicom/pixels.js';
import { fragmentHeader, planRewrite, reversedUnits, type ElementChanges, type NestedImage, type PixelTarget, type RewritePlan } from '../../../src/imaging/dicom/transcode.js';
import { formatChanges, nestedChanges, pixelVrOf, transcodeFrame, type Encoder, type StoredFrame } from '../../../src/imaging/dicom/transcode-frame.js';
import { EXPLICIT_LITTLE } from '../../../src/imaging/dicom/transfer-syntax.js';
import { nativeCodec, nativeEncoder } from '../../../src/platform/threads/codecs.js';

const codecs: Codec & Encoder = { ...nativeCodec, ...nativeEncoder };

function joined(bytes: Uint8Array, parsed: ParsedInstance, frame: number): Uint8Array {
  const source = parsed.inflated ?? bytes;
  return Buffer.concat(frameLocation(parsed, frame).map(({ offset, length }) => source.subarray(offset, offset + length)));
}

/** A file in memory in another transfer syntax: what the product does piece by piece. */
export async function rewritten(bytes: Uint8Array, transferSyntaxUid: string): Promise<Uint8Array> {
  const parsed = parseInstanceBytes(bytes);
  const { pixelData, encoding, inflated, sopClassUid, sopInstanceUid } = parsed;
  const frames: StoredFrame[] = [];
  const isKept = pixelData?.encoding !== 'encapsulated' && transferSyntaxUid === EXPLICIT_LITTLE;
  if (!isKept) {
    for (let frame = 0; frame < describePixels(parsed).numberOfFrames; frame++) frames.push(await transcodeFrame(parsed, joined(bytes, parsed, frame), frame, transferSyntaxUid, codecs));
  }
  const format = frames[0]?.format;
  const pixels: PixelTarget = format === undefined
    ? { form: 'kept', bitsAllocated: pixelData === null ? 8 : describePixels(parsed).bitsAllocated }
    : transferSyntaxUid === EXPLICIT_LITTLE
      ? { form: 'native', vr: pixelVrOf(format), bytes: frames.reduce((sum, frame) => sum + frame.bytes.length, 0) }
      : { form: 'encapsulated' };
  const plan = (itemChanges: ReadonlyMap<number, ElementChanges>): RewritePlan => run(bytes, planRewrite(
    { size: bytes.length, encoding, pixelData, inflated },
    { transferSyntaxUid, sopClassUid, sopInstanceUid, changes: format === undefined ? new Map() : formatChanges(parsed, format), pixels, itemChanges },
  ));
  let planned = plan(new Map());
  if (planned.nestedImages.length > 0) {
    planned = plan(new Map(await Promise.all(planned.nestedImages.map(async (image) => [image.itemOffset, await decompressedItem(bytes, parsed, image)] as const))));
  }
  return assembled(planned, inflated ?? bytes, frames, pixels.form === 'encapsulated');
}

async function decompressedItem(bytes: Uint8Array, parsed: ParsedInstance, { attributes, fragments, vr }: NestedImage): Promise<ElementChanges> {
  const image: ParsedInstance = { ...parsed, attributes, pixelData: { encoding: 'encapsulated', element: 'PixelData', vr, basicOffsets: [], fragments: [...fragments] } };
  return nestedChanges(image, [await transcodeFrame(image, joined(bytes, image, 0), 0, EXPLICIT_LITTLE, codecs)]);
}

function run<T>(bytes: Uint8Array, steps: Generator<{ offset: number; length: number }, T, Uint8Array>): T {
  let step = steps.next();
  while (step.done !== true) step = steps.next(bytes.subarray(step.value.offset, step.value.offset + step.value.length));
  return step.value;
}

function assembled({ pieces, length }: RewritePlan, source: Uint8Array, frames: readonly StoredFrame[], encapsulated: boolean): Uint8Array {
  const frameBytes = frames.flatMap(({ bytes }) => (encapsulated ? [fragmentHeader(bytes.length), bytes, new Uint8Array(bytes.length % 2)] : [bytes]));
  const whole = pieces.flatMap((piece) => {
    if (piece.kind === 'bytes') return [piece.bytes];
    return piece.kind === 'frames' ? frameBytes : [reversedUnits(source.subarray(piece.offset, piece.offset + piece.length), piece.unit)];
  });
  const file = new Uint8Array(Buffer.concat(whole));
  const expected = length + frameBytes.reduce((sum, bytes) => sum + bytes.length, 0);
  if (file.length !== expected) throw new Error(`planned ${String(expected)} bytes, made ${String(file.length)}`);
  return file;
}
