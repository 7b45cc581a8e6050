import { AppError } from '../../kernel/errors.js';
import { number, sequence, text } from '../dicom/attributes.js';
import type { DicomJson } from '../dicom/dicom-json.js';
import { frameAttributes } from '../dicom/functional-groups.js';
import { parseInstanceBytes, type ParsedInstance } from '../dicom/header.js';
import { decodeFrame, frameLocation, type Codec, type PixelFrame } from '../dicom/pixels.js';
import { describeSlices } from './describe.js';
import { slicesOf, type Slice } from './slices.js';
import type { Volume } from './volume.js';

/** Voxels of one volume: 2 GiB as Int16. */
const MAX_VOXELS = 2 ** 30;
/** What padding becomes, so that no interpolation draws on a made-up number: air for CT, nothing for MR. */
const CT_PADDING_HU = -1024;
const INT16_MIN = -32_768;
const INT16_MAX = 32_767;

interface FramePlace {
  sopInstanceUid: string;
  /** From 1. */
  frame: number;
}

/** A volume with the frame of each of its slices. */
export type AssembledVolume = Volume & { frames: FramePlace[] };

/**
 * The voxels of a series: Hounsfield units for CT, rescaled values for MR. Int16Array where every rescale is of whole numbers and every value
 * fits, else Float32Array. The order of frames and instances does not matter. One frame is decoded at a time, so that beside the volume
 * only the compressed bytes are held.
 *
 * The values of MONOCHROME1 are turned round for MR, where low ones are bright; Hounsfield units mean the same in both.
 *
 * @param series  frames that `describeSeries` found to be a volume
 * @param instances  their Part 10 objects; others may be among them
 * @param progress  told the part that is done, 0–1
 * @throws AppError `invalid-dicom` when a frame or its place is missing or the frames are no volume, `image-too-large`, `invalid-pixel-data`,
 * `pixel-data-undecodable` and the others of parsing and decoding
 */
export async function assembleSeries(
  series: { frames: readonly FramePlace[] }, instances: readonly { sopInstanceUid: string; bytes: Uint8Array }[], codec: Codec, progress: (done: number) => void = () => undefined,
): Promise<AssembledVolume> {
  const objects = readObjects(series.frames, instances);
  const slices = wantedSlices(series.frames, objects);
  const [anyObject] = objects.values();
  const { grid, fault, frames } = describeSlices(slices, text(anyObject?.parsed.attributes ?? {}, 'FrameOfReferenceUID'));
  if (grid === undefined || frames.length !== series.frames.length) throw new AppError('invalid-dicom', { detail: fault?.detail ?? 'The images make no volume' });
  const [columns, rows, count] = grid.size;
  if (columns * rows * count > MAX_VOXELS) throw new AppError('image-too-large', { detail: `The volume has ${String(columns)} × ${String(rows)} × ${String(count)} voxels` });
  let voxels: Int16Array | Float32Array = new Int16Array(columns * rows * count);
  for (const [k, place] of frames.entries()) {
    const object = objects.get(place.sopInstanceUid);
    if (object === undefined) throw new AppError('invalid-dicom', { detail: 'An image is missing' });
    const slice = await rescaledFrame(object, place.frame - 1, codec);
    if (slice.length !== columns * rows) throw new AppError('invalid-pixel-data', { detail: 'A slice has another size than the volume' });
    if (slice instanceof Float32Array && voxels instanceof Int16Array) voxels = Float32Array.from(voxels);
    voxels.set(slice, k * columns * rows);
    progress((k + 1) / count);
  }
  return { ...grid, voxels, frames };
}

interface StoredObject {
  parsed: ParsedInstance;
  bytes: Uint8Array;
}

function readObjects(frames: readonly FramePlace[], instances: readonly { sopInstanceUid: string; bytes: Uint8Array }[]): Map<string, StoredObject> {
  const wanted = new Set(frames.map(({ sopInstanceUid }) => sopInstanceUid));
  const objects = new Map<string, StoredObject>();
  for (const { sopInstanceUid, bytes } of instances) {
    if (wanted.has(sopInstanceUid) && !objects.has(sopInstanceUid)) objects.set(sopInstanceUid, { parsed: parseInstanceBytes(bytes), bytes });
  }
  return objects;
}

function wantedSlices(frames: readonly FramePlace[], objects: ReadonlyMap<string, StoredObject>): Slice[] {
  const key = ({ sopInstanceUid, frame }: FramePlace): string => `${sopInstanceUid}/${String(frame)}`;
  const wanted = new Set(frames.map(key));
  const slices = slicesOf([...objects].map(([sopInstanceUid, { parsed }]) => ({ sopInstanceUid, attributes: parsed.attributes }))).filter((slice) => wanted.has(key(slice)));
  if (slices.length !== wanted.size) throw new AppError('invalid-dicom', { detail: `${String(wanted.size - slices.length)} of ${String(wanted.size)} slices are missing` });
  return slices;
}

/** Rescaled values of one frame; Int16Array when all are whole and fit. */
async function rescaledFrame({ parsed, bytes }: StoredObject, frameIndex: number, codec: Codec): Promise<Int16Array | Float32Array> {
  const attributes = frameAttributes(parsed.attributes, frameIndex);
  const source = parsed.inflated ?? bytes;
  const ranges = frameLocation(parsed, frameIndex);
  const [first] = ranges;
  const coded = ranges.length === 1 && first !== undefined
    ? source.subarray(first.offset, first.offset + first.length)
    : Buffer.concat(ranges.map(({ offset, length }) => source.subarray(offset, offset + length)));
  const frame = await decodeFrame(parsed, coded, codec, frameIndex);
  if (frame.samplesPerPixel !== 1 || frame.photometric === 'PALETTE COLOR') throw new AppError('invalid-pixel-data', { detail: 'A slice is in colour' });
  if (sequence(attributes, 'ModalityLUTSequence').length > 0) throw new AppError('invalid-pixel-data', { detail: 'A slice has a modality look-up table in place of a rescale' });
  return rescaled(frame, attributes, text(parsed.attributes, 'Modality') === 'CT');
}

function rescaled(frame: PixelFrame, attributes: DicomJson, isCt: boolean): Int16Array | Float32Array {
  const slope = number(attributes, 'RescaleSlope') ?? 1;
  const intercept = number(attributes, 'RescaleIntercept') ?? 0;
  if (slope === 0) throw new AppError('invalid-pixel-data', { detail: 'The rescale slope of a slice is 0' });
  const { pixels } = frame;
  const turn = frame.photometric === 'MONOCHROME1' && !isCt ? (frame.signed ? -1 : 2 ** frame.bitsStored - 1) : undefined;
  const padding = paddingOf(attributes, frame);
  const padded = isCt ? CT_PADDING_HU : 0;
  const out = new Float64Array(pixels.length);
  let whole = Number.isInteger(slope) && Number.isInteger(intercept);
  for (let at = 0; at < pixels.length; at++) {
    const stored = pixels[at] ?? 0;
    const value = padding !== undefined && stored >= padding[0] && stored <= padding[1] ? padded : (turn === undefined ? stored : turn - stored) * slope + intercept;
    if (!Number.isFinite(value)) throw new AppError('invalid-pixel-data', { detail: 'A slice has values that are no numbers' });
    if (whole && (value < INT16_MIN || value > INT16_MAX || !Number.isInteger(value))) whole = false;
    out[at] = value;
  }
  return whole ? Int16Array.from(out) : Float32Array.from(out);
}

/** Stored values that stand for no measurement, both ends included. @see PS3.3 C.7.5.1.1.2 */
function paddingOf(attributes: DicomJson, { bitsStored, signed }: PixelFrame): [number, number] | undefined {
  const value = number(attributes, 'PixelPaddingValue');
  if (value === undefined) return undefined;
  // Written as US or SS whatever the pixels are: the sign of the pixels decides.
  const asStored = (given: number): number => {
    const bits = given & (2 ** Math.min(bitsStored, 16) - 1);
    if (!signed) return bitsStored > 16 ? given : bits;
    return given < 0 || given < 2 ** (bitsStored - 1) ? given : given - 2 ** bitsStored;
  };
  const limit = number(attributes, 'PixelPaddingRangeLimit') ?? value;
  const [a, b] = [asStored(value), asStored(limit)];
  return a <= b ? [a, b] : [b, a];
}
