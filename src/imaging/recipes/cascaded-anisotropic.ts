import { AppError } from '../../kernel/errors.js';
import type { Networks } from '../analyses/analysis.js';
import type { CascadedAnisotropicManifest } from '../model/manifests/cascaded-anisotropic.js';
import { boundingBox } from '../volume/morphology.js';
import type { Vector3, Volume } from '../volume/volume.js';
import { cutOut, grownBlock, putBack, voxelsOf, type Block } from '../volume/block.js';
import { fuse } from './cascaded-anisotropic/fusion.js';
import { gaussianNoise, type Noise } from './cascaded-anisotropic/noise.js';
import { normaliseChannel } from './cascaded-anisotropic/normalise.js';
import { predictRegion, runBatch } from './cascaded-anisotropic/predict.js';
import { closed, componentsOver, largestTwo } from './cascaded-anisotropic/regions.js';
import { VIEW_NAMES } from './cascaded-anisotropic/windows.js';
import { checkNames } from './finite-output.js';
import type { LabelMap, RecipeTools } from './recipe.js';
import { strangenessMeter } from './strangeness.js';

export type Sequence = 'flair' | 't1' | 't1c' | 't2';

/** How much of the work is done when each region of the cascade begins: the first looks at the whole brain. */
const REGION_START = [0, 0.8, 0.92, 1] as const;

/**
 * Whole tumour, core and enhancing part, each looked for in the box of the one before by three networks that look from three sides.
 *
 * @param channels  the four sequences on one grid in the manifest's orientation and spacing, zero outside the brain
 * The noise comes from the manifest's seed and not from the input's digest: the same voxels give the same labels, however they were sent.
 *
 * @returns labels on that grid with the values of the manifest
 * @throws AppError `model-load-failed`, `model-output-invalid`, `out-of-memory`, `internal` for a channel that is missing
 * @see Wang et al. 2017, "Automatic Brain Tumor Segmentation using Cascaded Anisotropic Convolutional Neural Networks"
 */
export async function segment(channels: Readonly<Partial<Record<Sequence, Volume>>>, manifest: CascadedAnisotropicManifest, networks: Networks, { progress }: Pick<RecipeTools, 'progress'>): Promise<LabelMap> {
  const { preprocessing, postprocessing: rules } = manifest;
  const { size, voxels } = channelOf(channels, preprocessing.brainChannel);
  const labels = new Uint8Array(voxels.length);
  const head = boundingBox(voxels, size);
  if (head === undefined) return { labels, details: { voxels: {} } };
  const block = grownBlock(head, preprocessing.cropMargin, size);
  const images = manifest.input.channels.map((sequence) => cutOut(channelOf(channels, sequence).voxels, size, block, new Float32Array(voxelsOf(block.size))));
  const brain = brainMask(cutOut(voxels, size, block, new Float32Array(voxelsOf(block.size))));
  // A stream of its own for each use, so that one region's box does not change the noise of the next.
  const noise = (use: number): Noise => gaussianNoise(manifest.noiseSeed * 4 + use);
  const background = noise(0);
  for (const image of images) normaliseChannel(image, background);

  const within = (step: 0 | 1 | 2) => (done: number): void => { progress(REGION_START[step] + done * (REGION_START[step + 1 as 1 | 2 | 3] - REGION_START[step])); };
  const meter = strangenessMeter(manifest.outOfDistribution);
  const { mask: wholeTumour, probability } = await predictRegion(manifest.networks.wholeTumour, images, block.size, brain, manifest, networks, noise(1), within(0), meter);
  const large = componentsOver(closed(wholeTumour, block.size, rules.connectivity), block.size, rules.connectivity, rules.wholeTumourMinVoxels);
  const coreBlock = blockOf(large, block.size, rules.boxMargin);

  const coreImages = images.map((image) => cutOut(image, block.size, coreBlock, new Float32Array(voxelsOf(coreBlock.size))));
  const coreBrain = cutOut(brain, block.size, coreBlock, new Uint8Array(voxelsOf(coreBlock.size)));
  const { mask: core } = await predictRegion(manifest.networks.tumourCore, coreImages, coreBlock.size, coreBrain, manifest, networks, noise(2), within(1));
  const main = largestTwo(closed(core, coreBlock.size, rules.connectivity), coreBlock.size, rules.connectivity, rules.secondComponentMinRatio);
  const activeBlock = blockOf(main, coreBlock.size, rules.boxMargin);

  const activeImages = coreImages.map((image) => cutOut(image, coreBlock.size, activeBlock, new Float32Array(voxelsOf(activeBlock.size))));
  const activeBrain = cutOut(coreBrain, coreBlock.size, activeBlock, new Uint8Array(voxelsOf(activeBlock.size)));
  const { mask: active } = await predictRegion(manifest.networks.enhancingTumour, activeImages, activeBlock.size, activeBrain, manifest, networks, noise(3), within(2));

  const tumourCore = widened(core, coreBlock, block.size);
  const enhancing = widened(widened(active, activeBlock, coreBlock.size), coreBlock, block.size);
  putBack(labels, size, block, fuse({ wholeTumour, tumourCore, enhancing }, block.size, rules));
  const found = { wholeTumour: countOf(wholeTumour), tumourCore: countOf(core), enhancing: countOf(active) };
  return { labels, score: probability, outOfDistribution: meter.verdict(), details: { brainBlock: block, coreBlock, enhancingBlock: activeBlock, predicted: found } };
}

/**
 * A first inference with each of the nine networks on the smallest planes that they get: names, shapes, finite numbers.
 *
 * @throws AppError `model-load-failed`, `model-output-invalid`
 */
export async function check(manifest: CascadedAnisotropicManifest, networks: Networks): Promise<void> {
  const { input, output, window } = manifest;
  // Small, so that a check takes seconds: the networks are fully convolutional.
  const plane = { height: window.planeMultiple * 4, width: window.planeMultiple * 4 };
  const batch = new Float32Array(window.batch * input.channels.length * window.inputSlices * plane.height * plane.width);
  gaussianNoise(manifest.noiseSeed).fill(batch, 0, batch.length);
  for (const views of Object.values(manifest.networks)) {
    for (const view of VIEW_NAMES) {
      const { path } = views[view];
      const session = await networks(path);
      checkNames(session, path, input.name, output.name);
      await runBatch(session, batch, plane, manifest, window.batch, views === manifest.networks.wholeTumour ? strangenessMeter(manifest.outOfDistribution) : undefined);
    }
  }
}

function channelOf(channels: Readonly<Partial<Record<Sequence, Volume>>>, sequence: Sequence): Volume {
  const channel = channels[sequence];
  if (channel === undefined) throw new AppError('internal', { detail: `The channel ${sequence} is missing` });
  return channel;
}

/** The box of a mask with its margin; the whole volume when the mask is empty. */
function blockOf(mask: Uint8Array, size: Vector3, margin: number): Block {
  const corners = boundingBox(mask, size);
  return corners === undefined ? { start: [0, 0, 0], size } : grownBlock(corners, margin, size);
}

function widened(mask: Uint8Array, block: Block, size: Vector3): Uint8Array {
  const out = new Uint8Array(voxelsOf(size));
  putBack(out, size, block, mask);
  return out;
}

function brainMask(image: Float32Array): Uint8Array {
  const out = new Uint8Array(image.length);
  for (let i = 0; i < out.length; i++) out[i] = (image[i] ?? 0) > 0 ? 1 : 0;
  return out;
}

function countOf(mask: Uint8Array): number {
  let count = 0;
  for (const value of mask) count += value;
  return count;
}
