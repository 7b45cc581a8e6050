import type { Networks } from '../analyses/analysis.js';
import { AppError } from '../../kernel/errors.js';
import type { SegmentThenClassifyManifest } from '../model/manifests/segment-then-classify.js';
import type { Session } from '../model/session.js';
import type { Vector3, Volume } from '../volume/volume.js';
import { componentsOfSlices, erosion, type Candidate, type SliceSink } from './candidates.js';
import { checkNames, checkShape, finiteOutput } from './finite-output.js';
import type { Detection, Detections } from './recipe.js';
import { intensityScale, type IntensityScale } from './intensity.js';
import { sliceWindows, tilePlan } from './slice-window.js';
import { strangenessMeter, type StrangenessMeter } from './strangeness.js';

/** Segmentation takes most of the time. */
const SEGMENTATION_SHARE = 0.75;

/**
 * Finds candidates slice by slice and lets a second network judge each of them.
 * Voxels stay as they are; a few slices and one chunk at a time become floating-point numbers.
 *
 * @param ct  Hounsfield units, axial
 * @returns what the second network takes for nodules, with the mask of the first; `details` counts candidates and positives
 * @throws AppError `model-output-invalid`, `model-load-failed`, `out-of-memory`
 * @see Stevens, Antiga, Viehmann, Deep Learning with PyTorch, chapter 14 (`nodule_analysis.py`)
 */
export async function detect(ct: Volume, manifest: SegmentThenClassifyManifest, networks: Networks, { progress }: { progress: (done: number) => void }): Promise<Detections> {
  const { segmentation, classification } = manifest.networks;
  const meter = strangenessMeter(manifest.outOfDistribution);
  const found = await candidatesOf(ct, manifest, await networks(segmentation.path), (done) => { progress(SEGMENTATION_SHARE * done); }, meter);
  const judged = [...found].sort((a, b) => b.voxels - a.voxels).slice(0, manifest.candidates.max);
  const classifier = await networks(classification.path);
  const threshold = manifest.labels[0]?.threshold ?? 0.5;
  const detections: Detection[] = [];
  const judge = nodularity(ct, manifest, classifier);
  for (const [i, candidate] of judged.entries()) {
    const score = await judge(candidate.centre);
    if (score >= threshold) detections.push({ centre: candidate.centre, mask: { box: candidate.box, voxels: candidate.mask() }, score });
    progress(SEGMENTATION_SHARE + ((1 - SEGMENTATION_SHARE) * (i + 1)) / judged.length);
  }
  progress(1);
  return {
    detections: detections.sort((a, b) => b.score - a.score),
    outOfDistribution: meter.verdict(),
    details: { candidates: found.length, positive: detections.length, ...(judged.length < found.length && { notClassified: found.length - judged.length }) },
  };
}

/** What the first network marks, eroded and taken apart; in the order of the first voxel. Throws as `detect` does. */
export async function candidatesOf(ct: Volume, manifest: SegmentThenClassifyManifest, session: Session, progress: (done: number) => void, meter?: StrangenessMeter): Promise<Candidate[]> {
  const [columns, rows, slices] = ct.size;
  const { clipHu: [low, high] } = manifest.preprocessing;
  const { erosions, weightOffsetHu } = manifest.candidates;
  const { voxels } = ct;
  const collected = componentsOfSlices(columns, rows, (offset) => {
    const value = voxels[offset] ?? low;
    return (value < low ? low : value > high ? high : value) + weightOffsetHu;
  });
  let sink: SliceSink = collected;
  for (let step = 0; step < erosions; step++) sink = erosion(columns, rows, sink);
  const mark = marking(ct, manifest, session, meter);
  for (let slice = 0; slice < slices; slice++) {
    sink.push(await mark(slice));
    progress((slice + 1) / slices);
  }
  sink.end();
  return collected.candidates();
}

/** What the network marks on a slice: 0 or 1, `[y, x]`. */
function marking(ct: Volume, manifest: SegmentThenClassifyManifest, session: Session, meter?: StrangenessMeter): (slice: number) => Promise<Uint8Array> {
  const [columns, rows] = ct.size;
  const { input, output, multipleOf } = manifest.networks.segmentation;
  const [, depth, networkRows, networkColumns] = input.shape;
  const plan = tilePlan([columns, rows], [networkRows, networkColumns], multipleOf);
  const window = sliceWindows(ct, depth, intensityOf(manifest), plan);
  const { threshold } = manifest.candidates;
  const least = bitsOf(threshold);

  return async (slice) => {
    const marked = new Uint8Array(columns * rows);
    const sum = plan.tiles.length > 1 ? { probability: new Float32Array(columns * rows), tiles: new Uint8Array(columns * rows) } : undefined;
    for (const tile of plan.tiles) {
      const outputs = await session.run({ [input.name]: { data: window(slice, tile), dims: [1, depth, plan.rows, plan.columns] } });
      meter?.take(outputs, 1);
      const probability = finiteOutput(outputs, output.name, [1, 1, plan.rows, plan.columns]);
      const [fromRow, toRow] = [Math.max(0, tile.row), Math.min(rows, tile.row + plan.rows)];
      const [fromColumn, toColumn] = [Math.max(0, tile.column), Math.min(columns, tile.column + plan.columns)];
      for (let j = fromRow; j < toRow; j++) {
        const row = probability.subarray((j - tile.row) * plan.columns + fromColumn - tile.column, (j - tile.row) * plan.columns + toColumn - tile.column);
        if (sum) addRow(sum, j * columns + fromColumn, row);
        else markRow(marked, j * columns + fromColumn, row, least);
      }
    }
    if (sum) for (let offset = 0; offset < marked.length; offset++) marked[offset] = (sum.probability[offset] ?? 0) > threshold * (sum.tiles[offset] ?? 1) ? 1 : 0;
    return marked;
  };
}

/**
 * Loops of their own, because most of a scan's voxels go through here. By the bits, which have the order of the numbers from 0 on: most probabilities are next to
 * nothing, and arithmetic with those takes many times as long.
 *
 * @param least  what is above it is marked, as `bitsOf` says it
 */
function markRow(marked: Uint8Array, start: number, { buffer, byteOffset, length }: Float32Array, least: number): void {
  const bits = new Int32Array(buffer, byteOffset, length);
  for (let i = 0; i < length; i++) if ((bits[i] ?? 0) > least) marked[start + i] = 1;
}

/** Of the largest 32-bit number that is not above a number from 0 on. */
function bitsOf(value: number): number {
  const [rounded, bits] = [Math.fround(value), new Int32Array(Float32Array.of(value).buffer)[0] ?? 0];
  return rounded > value ? bits - 1 : bits;
}

function addRow({ probability, tiles }: { probability: Float32Array; tiles: Uint8Array }, start: number, row: Float32Array): void {
  for (let i = 0; i < row.length; i++) {
    probability[start + i] = (probability[start + i] ?? 0) + (row[i] ?? 0);
    tiles[start + i] = (tiles[start + i] ?? 0) + 1;
  }
}

/** What the second network thinks of a place, 0–1. */
function nodularity(ct: Volume, manifest: SegmentThenClassifyManifest, session: Session): (centre: Vector3) => Promise<number> {
  const { input, output, activation } = manifest.networks.classification;
  const [, , depth, height, width] = input.shape;
  const chunk = new Float32Array(depth * height * width);
  const intensity = intensityOf(manifest);
  const index = manifest.labels[0]?.index ?? 0;

  return async (centre) => {
    const data = chunkAround(ct, centre, [width, height, depth], intensity, chunk);
    const outputs = await session.run({ [input.name]: { data, dims: [1, 1, depth, height, width] } });
    const row = finiteOutput(outputs, output.name, [1, output.shape[1]]);
    const own = row[index] ?? 0;
    if (activation === 'sigmoid') return 1 / (1 + Math.exp(-own));
    if (activation === 'softmax') return 1 / row.reduce((sum, other) => sum + Math.exp(other - own), 0);
    if (own < 0 || own > 1) throw new AppError('model-output-invalid', { detail: `The output "${output.name}" holds ${own}, which is no probability` });
    return own;
  };
}

/**
 * A box of the wanted size around a place, moved inside of the volume; where the volume is smaller than the box, what is beyond it is the lower end of the range.
 *
 * @param wanted  columns, rows, slices
 * @param into  takes the box: fresh memory for each costs more than what is written there
 * @returns `[z, y, x]`
 */
export function chunkAround({ voxels, size }: Volume, centre: Vector3, wanted: Vector3, intensity: IntensityScale, into = new Float32Array(wanted[0] * wanted[1] * wanted[2])): Float32Array {
  const from = ([0, 1, 2] as const).map((axis) => Math.max(0, Math.min(halfToEven(centre[axis]) - Math.floor(wanted[axis] / 2), size[axis] - wanted[axis])));
  const [i0 = 0, j0 = 0, k0 = 0] = from;
  const [width, height, depth] = wanted;
  const columns = Math.min(width, size[0]);
  if (columns < width || size[1] < height || size[2] < depth) into.fill(intensity.outside);
  for (let k = 0; k < Math.min(depth, size[2]); k++) {
    for (let j = 0; j < Math.min(height, size[1]); j++) {
      intensity.apply(voxels, i0 + size[0] * (j0 + j + size[1] * (k0 + k)), into, width * (j + height * k), columns);
    }
  }
  return into;
}

/** As numpy rounds, which the original uses. */
function halfToEven(value: number): number {
  const floor = Math.floor(value);
  return value - floor === 0.5 ? floor + (floor % 2) : Math.round(value);
}

function intensityOf({ preprocessing: { clipHu, offset, scale } }: SegmentThenClassifyManifest): IntensityScale {
  return intensityScale({ clipHu, offset, scale });
}

/**
 * A first inference of both networks on a made-up chest: the tensors have the names and shapes that the manifest says, and the numbers are finite.
 *
 * @throws AppError `model-load-failed`, `model-output-invalid`
 */
export async function check(manifest: SegmentThenClassifyManifest, networks: Networks): Promise<void> {
  const { segmentation, classification } = manifest.networks;
  const opened = new Map<string, Session>();
  for (const { path, input, output } of [segmentation, classification]) {
    const session = await networks(path);
    checkNames(session, path, input.name, output.name);
    checkShape(session, path, input.name, input.shape);
    opened.set(path, session);
  }
  const [, , rows, columns] = segmentation.input.shape;
  const side = (length: number | string): number => (typeof length === 'number' ? length : 8 * segmentation.multipleOf);
  const size: Vector3 = [side(columns), side(rows), 1];
  // Lung with a ball of soft tissue: neither constant nor symmetric.
  const voxels = Int16Array.from({ length: size[0] * size[1] }, (_, offset) => {
    const [i, j] = [offset % size[0], Math.floor(offset / size[0])];
    return Math.hypot(i - size[0] / 3, j - size[1] / 2.5) < size[0] / 40 ? 40 : -850 + ((7 * i + 3 * j) % 50);
  });
  const ct: Volume = { size, affine: [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]], voxels };
  const [segmenting, classifying] = [opened.get(segmentation.path), opened.get(classification.path)];
  if (segmenting) await candidatesOf(ct, manifest, segmenting, () => undefined, strangenessMeter(manifest.outOfDistribution));
  if (classifying) await nodularity(ct, manifest, classifying)([size[0] / 3, size[1] / 2.5, 0]);
}
