import { AppError } from '../../kernel/errors.js';
import type { SlidingWindowSegmentationManifest } from '../model/manifests/sliding-window-segmentation.js';
import type { Session } from '../model/session.js';
import { axisView, labelsOnGrid, readWindow, type AxisView, type Conversion } from '../volume/axis-view.js';
import { blendWindows, type Plane } from '../volume/blend-windows.js';
import { cutVolume, grownBlock, putBack, voxelsOf, type Block } from '../volume/block.js';
import { boundingBoxOfAll } from '../volume/morphology.js';
import type { Vector3, Volume, Voxels } from '../volume/volume.js';
import { planWindows } from '../volume/windows.js';
import type { LabelMap, RecipeTools } from './recipe.js';
import { strangenessMeter, type StrangenessMeter } from './strangeness.js';
import { checkNames, madeUpWindow, runWindows, smallWindow, windowNetwork, type Networks, type WindowNetwork } from './window-network.js';

/** By the manifest's names of channels; all on one grid. */
type Channels = Readonly<Partial<Record<string, Volume>>>;

/** A network halves the image a few times; a window for trying it is a multiple of this. */
const HALVINGS: Vector3 = [8, 8, 8];

/**
 * Labels as MONAI's sliding-window inference gives them: cut away what is 0 if asked → normalise each channel → windows → blended logits → activation → values.
 *
 * @returns labels on the grid of the input
 * @throws AppError `model-load-failed`, `model-output-invalid`, `out-of-memory`, `internal` for a channel that is missing or on another grid
 * @see MONAI 1.6 `CropForeground`, `SlidingWindowInferer`, bundle brats_mri_segmentation; Myronenko 2018
 */
export async function segment(channels: Channels, manifest: SlidingWindowSegmentationManifest, networks: Networks, tools: RecipeTools): Promise<LabelMap> {
  if (manifest.preprocessing.crop === undefined) return segmentAll(channels, manifest, networks, tools);
  const grid = gridOf(channels, manifest);
  const block = contentOf(channels, manifest, grid.size);
  const cut: Partial<Record<string, Volume>> = {};
  for (const name of manifest.channels) {
    const volume = channels[name];
    if (volume) cut[name] = cutVolume(volume, block);
  }
  const found = await segmentAll(cut, manifest, networks, tools);
  const labels = new Uint8Array(voxelsOf(grid.size));
  putBack(labels, grid.size, block, found.labels);
  return { ...found, labels, details: { ...found.details, crop: block } };
}

/** The least block with everything that is not 0 in any channel; all where everything is. */
function contentOf(channels: Channels, { channels: names }: SlidingWindowSegmentationManifest, size: Vector3): Block {
  const [from, to] = boundingBoxOfAll(names.map((name) => channels[name]?.voxels ?? []), size) ?? [[0, 0, 0], [size[0] - 1, size[1] - 1, size[2] - 1]];
  return grownBlock([from, to], 0, size);
}

async function segmentAll(channels: Channels, manifest: SlidingWindowSegmentationManifest, networks: Networks, { progress, reduced }: Pick<RecipeTools, 'progress' | 'reduced'>): Promise<LabelMap> {
  const { network, window, preprocessing, postprocessing } = manifest;
  const grid = gridOf(channels, manifest);
  const view = axisView(grid, preprocessing.axes, preprocessing.spacingMm);
  const [, depthY, depthZ] = view.size;
  const labels = new Uint8Array(view.size[0] * depthY * depthZ);
  const decide = decision(postprocessing);
  const counts: Record<string, number> = {};
  const meter = strangenessMeter(manifest.outOfDistribution);
  const windows = await blendLogits(channels, view, manifest, networks, { progress, reduced }, ({ at, values, size }) => {
    const area = size[0] * size[1];
    for (let cell = 0; cell < area; cell++) {
      const value = decide(values, cell, area);
      if (value !== 0) labels[(Math.floor(cell / size[1]) * depthY + (cell % size[1])) * depthZ + at] = value;
    }
  }, meter);
  const onGrid = labelsOnGrid(view, labels);
  for (const value of onGrid) if (value !== 0) counts[value] = (counts[value] ?? 0) + 1;
  return { labels: onGrid, outOfDistribution: meter.verdict(), details: { size: view.size, window: (reduced ? window.reducedSize : undefined) ?? window.size, windows, channels: manifest.channels, network: network.path, voxels: counts } };
}

/**
 * The blended logits, plane by plane across the tensor's last axis; `segment` decides with them.
 *
 * @returns how many windows ran
 */
export async function blendLogits(channels: Channels, view: AxisView, manifest: SlidingWindowSegmentationManifest, networks: Networks, { progress, reduced }: Pick<RecipeTools, 'progress' | 'reduced'>, plane: (plane: Plane) => void, meter?: StrangenessMeter): Promise<number> {
  const { window, preprocessing } = manifest;
  const session = await networks(manifest.network.path);
  const network = networkOf(manifest, session);
  const plan = planWindows(view.size, (reduced ? window.reducedSize : undefined) ?? window.size, window.overlap);
  const length = plan.window[0] * plan.window[1] * plan.window[2];
  const sources = manifest.channels.map((name) => {
    const voxels = channels[name]?.voxels ?? new Float32Array();
    return { voxels, convert: normalisation(voxels, preprocessing.normalisation) };
  });
  return blendWindows({
    plan,
    blending: window,
    channels: sources.length,
    batch: reduced || network.input.shape[0] === 1 ? 1 : window.batch,
    read: (start, into) => {
      for (const [i, { voxels, convert }] of sources.entries()) readWindow(view, voxels, start, plan.window, into.subarray(i * length, (i + 1) * length), convert, 0);
    },
    run: async (data, count) => {
      const outputs = await runWindows(session, network, data, count, plan.window, meter);
      sameGrid(outputs[0]?.dims, plan.window);
      return outputs;
    },
    plane,
    progress,
  });
}

/**
 * A first inference on a made-up window: names, channels and size are the manifest's, and the numbers are finite.
 *
 * @throws AppError `model-load-failed`, `model-output-invalid`
 */
export async function check(manifest: SlidingWindowSegmentationManifest, networks: Networks): Promise<void> {
  const session = await networks(manifest.network.path);
  const network = networkOf(manifest, session);
  checkNames(session, network);
  const size = smallWindow(session, network, manifest.window.size, HALVINGS);
  const outputs = await runWindows(session, network, madeUpWindow(manifest.channels.length, size), 1, size, strangenessMeter(manifest.outOfDistribution));
  sameGrid(outputs[0]?.dims, size);
}

function networkOf({ network: { input, output } }: SlidingWindowSegmentationManifest, session: Session): WindowNetwork {
  return windowNetwork(session, input, [output]);
}

function sameGrid(dims: readonly number[] | undefined, window: Vector3): void {
  if (dims?.slice(2).join() !== window.join()) throw new AppError('model-output-invalid', { detail: `The output has the shape [${String(dims)}] for a window of [${String(window)}]` });
}

/** That of the first channel; the others must share it. */
function gridOf(channels: Channels, { channels: names }: SlidingWindowSegmentationManifest): Volume {
  let grid: Volume | undefined;
  for (const name of names) {
    const volume = channels[name];
    if (!volume) throw new AppError('internal', { detail: `The channel "${name}" is missing` });
    grid ??= volume;
    if (volume.size.join() !== grid.size.join() || volume.voxels.length !== grid.voxels.length) throw new AppError('internal', { detail: `The channel "${name}" is on another grid` });
  }
  if (!grid) throw new AppError('internal', { detail: 'There is no channel' });
  return grid;
}

/** @see MONAI 1.6 `NormalizeIntensity`: the deviation is the population's, and a constant channel is only shifted */
function normalisation(voxels: Voxels, kind: SlidingWindowSegmentationManifest['preprocessing']['normalisation']): Conversion {
  if (kind === 'none') return { scale: 1, offset: 0, low: -Infinity, high: Infinity, keepsZero: false };
  const nonzero = kind === 'z-score-nonzero';
  let [count, sum, squares] = [0, 0, 0];
  // Not for-of: its iterator costs several times the sum.
  for (let at = 0; at < voxels.length; ) {
    const value = voxels[at++] ?? 0;
    if (nonzero && value === 0) continue;
    count++;
    sum += value;
  }
  const mean = count === 0 ? 0 : sum / count;
  for (let at = 0; at < voxels.length; ) {
    const value = voxels[at++] ?? 0;
    if (nonzero && value === 0) continue;
    squares += (value - mean) ** 2;
  }
  const deviation = count === 0 ? 1 : Math.sqrt(squares / count) || 1;
  return { scale: 1 / deviation, offset: -mean / deviation, low: -Infinity, high: Infinity, keepsZero: nonzero };
}

/** A voxel's value from the logits of its channels; `cell` is its place in a plane of `area` places. */
function decision(postprocessing: SlidingWindowSegmentationManifest['postprocessing']): (logits: Float32Array, cell: number, area: number) => number {
  const { values } = postprocessing;
  if (postprocessing.activation === 'softmax') {
    return (logits, cell, area) => {
      let [channel, most] = [0, -Infinity];
      for (let at = cell, c = 0; at < logits.length; at += area, c++) {
        const logit = logits[at] ?? 0;
        if (logit > most) [channel, most] = [c, logit];
      }
      return values.find((entry) => entry.channel === channel)?.value ?? 0;
    };
  }
  const { activation, threshold } = postprocessing;
  // sigmoid(x) ≥ t is x ≥ log(t / (1 − t)): no exponential for each voxel.
  const least = activation === 'sigmoid' ? Math.log(threshold / (1 - threshold)) : threshold;
  return (logits, cell, area) => values.find(({ channel }) => (logits[channel * area + cell] ?? 0) >= least)?.value ?? 0;
}
