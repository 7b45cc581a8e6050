import { frameAttributes } from '../../imaging/dicom/functional-groups.js';
import { parseInstanceBytes, type ParsedInstance } from '../../imaging/dicom/header.js';
import { decodeFrame, frameLocation, type PixelFrame } from '../../imaging/dicom/pixels.js';
import { readingWindow } from '../../imaging/render/reading-window.js';
import { partsOf, placeParts, planeSize, type Planes, type SectionPlan, type SliceParts } from '../../imaging/render/sections.js';
import { modalityValues, type Window } from '../../imaging/render/window.js';
import { unpackSlice, type PackedSegmentation } from '../../imaging/volume/packed-labels.js';
import { AppError } from '../../kernel/errors.js';
import { nativeCodec } from './codecs.js';

/** Which frames of an object are slices of a volume, and what is wanted of them. */
export interface SectionsOfObject {
  /** `frame` from 0, `slice` of the grid. */
  frames: readonly { frame: number; slice: number }[];
  plan: SectionPlan;
  columns: number;
  rows: number;
  /** Decides the window. */
  analysis: string;
}

export interface CutSections {
  parts: SliceParts<Float32Array>[];
  /** Of the slice that the planes meet in, where it is among the frames. */
  window: Window | undefined;
}

/**
 * What the planes take of the frames of one object, in modality values.
 *
 * @throws AppError `source-changed` for frames of another size than the grid's; those of decoding
 */
export async function cutSections(file: Uint8Array, { frames, plan, columns, rows, analysis }: SectionsOfObject): Promise<CutSections> {
  const parsed = parseInstanceBytes(file);
  const parts: SliceParts<Float32Array>[] = [];
  let window: Window | undefined;
  for (const { frame, slice } of frames) {
    const pixels = await decodeFrame(parsed, frameBytes(parsed, file, frame), nativeCodec, frame);
    if (pixels.columns !== columns || pixels.rows !== rows || pixels.samplesPerPixel !== 1) throw new AppError('source-changed');
    const values = modalityValues(brightness(pixels, analysis), frameAttributes(parsed.attributes, frame));
    if (slice === plan.at[2]) window = readingWindow(analysis, values);
    parts.push(partsOf(values, columns, slice, plan));
  }
  return { parts, window };
}

/** What the planes take of a stored label map; null where nothing of it lies in them. */
export function cutLabels(segmentation: Pick<PackedSegmentation, 'slices' | 'grid' | 'packed'>, plan: SectionPlan): Planes<Uint8Array> | null {
  const area = (across: 0 | 1 | 2): number => { const { width, height } = planeSize(plan, across); return width * height; };
  const planes: Planes<Uint8Array> = [new Uint8Array(area(0)), new Uint8Array(area(1)), new Uint8Array(area(2))];
  for (const { slice } of segmentation.slices) {
    if (slice < plan.from[2] || slice > plan.to[2]) continue;
    const labels = unpackSlice(segmentation, slice);
    if (labels) placeParts(planes, partsOf(labels, segmentation.grid.size[0], slice, plan), plan);
  }
  return planes.some((plane) => plane.some((label) => label !== 0)) ? planes : null;
}

function frameBytes(parsed: ParsedInstance, file: Uint8Array, frame: number): Uint8Array {
  const source = parsed.inflated ?? file;
  return Buffer.concat(frameLocation(parsed, frame).map(({ offset, length }) => source.subarray(offset, offset + length)));
}

/** MR in MONOCHROME1 counts darkness, which is turned round as volumes are; Hounsfield units mean the same in both. */
function brightness(frame: PixelFrame, analysis: string): PixelFrame {
  if (frame.photometric !== 'MONOCHROME1' || analysis === 'lung-nodule-detection') return frame;
  const turn = frame.signed ? -1 : 2 ** frame.bitsStored - 1;
  return { ...frame, pixels: frame.pixels.map((value) => turn - value) };
}
