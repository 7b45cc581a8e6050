import type { Networks } from '../../analyses/analysis.js';
import type { CascadedAnisotropicManifest } from '../../model/manifests/cascaded-anisotropic.js';
import type { Session } from '../../model/session.js';
import type { Vector3 } from '../../volume/volume.js';
import { voxelsOf } from '../../volume/block.js';
import { finiteOutput } from '../finite-output.js';
import type { StrangenessMeter } from '../strangeness.js';
import type { Noise } from './noise.js';
import { addWindow, planeSize, readWindow, VIEW_NAMES, viewOf, windowsOver, type ViewName } from './windows.js';

/** The three networks of a region. */
export type RegionNetworks = CascadedAnisotropicManifest['networks']['wholeTumour'];

/** 0 or 1 for each voxel of the block, and the mean probability of the ones. */
export interface Predicted {
  mask: Uint8Array;
  probability: number;
}

/**
 * Where one region of the cascade is: three networks look at the block from three sides, and the mean of their probabilities decides.
 * One batch of windows is in memory at a time.
 *
 * @param images  normalised channels of the block, in the manifest's order, each [z, y, x]
 * @param brain   0 or 1; a voxel outside the brain is never in the region
 * @param meter  takes what the networks of this region say of the windows besides
 * @throws AppError `model-load-failed`, `model-output-invalid`, `out-of-memory`
 */
export async function predictRegion(region: RegionNetworks, images: readonly Float32Array[], size: Vector3, brain: Uint8Array, manifest: CascadedAnisotropicManifest, networks: Networks, noise: Noise, progress: (done: number) => void, meter?: StrangenessMeter): Promise<Predicted> {
  const sum = new Float32Array(voxelsOf(size));
  for (const [i, name] of VIEW_NAMES.entries()) {
    await predictView(name, region, images, size, sum, manifest, networks, noise, (done) => { progress((i + done) / VIEW_NAMES.length); }, meter);
  }
  const mask = new Uint8Array(sum.length);
  let count = 0;
  let total = 0;
  for (let i = 0; i < mask.length; i++) {
    const value = sum[i] ?? 0;
    if (value <= 0 || brain[i] !== 1) continue;
    mask[i] = 1;
    count++;
    // The sum over the views of p − (1 − p).
    total += (value / VIEW_NAMES.length + 1) / 2;
  }
  return { mask, probability: count === 0 ? 0 : total / count };
}

async function predictView(name: ViewName, region: RegionNetworks, images: readonly Float32Array[], size: Vector3, sum: Float32Array, manifest: CascadedAnisotropicManifest, networks: Networks, noise: Noise, progress: (done: number) => void, meter?: StrangenessMeter): Promise<void> {
  const { window, input } = manifest;
  const network = region[name];
  const view = viewOf(size, name);
  const plane = planeSize(view, network.leastPlane, window.planeMultiple);
  const windows = windowsOver(view.size[0], window);
  const channelSize = window.inputSlices * plane.height * plane.width;
  const windowSize = input.channels.length * channelSize;
  const session = await networks(network.path);
  const batch = new Float32Array(window.batch * windowSize);
  for (let first = 0; first < windows.length; first += window.batch) {
    const present = windows.slice(first, first + window.batch);
    for (const [b, { input: slice }] of present.entries()) {
      for (const [c, image] of images.entries()) readWindow(batch, b * windowSize + c * channelSize, image, view, slice, window.inputSlices, plane, noise);
    }
    // The networks normalise over the batch: a batch that is short is filled up as in training, and what comes out for that is dropped.
    noise.fill(batch, present.length * windowSize, batch.length);
    const probabilities = await runBatch(session, batch, plane, manifest, present.length, meter);
    const resultSize = probabilities.length / window.batch;
    for (const [b, at] of present.entries()) addWindow(sum, probabilities, b * resultSize, view, at, window.outputSlices, plane);
    progress(Math.min(1, (first + window.batch) / windows.length));
  }
}

/** One inference, checked: [batch, 2, output slices, height, width] of finite numbers. @throws AppError `model-load-failed`, `model-output-invalid` */
export async function runBatch(session: Session, batch: Float32Array, { height, width }: { height: number; width: number }, { input, output, window }: CascadedAnisotropicManifest, present: number = window.batch, meter?: StrangenessMeter): Promise<Float32Array> {
  const outputs = await session.run({ [input.name]: { data: batch, dims: [window.batch, input.channels.length, window.inputSlices, height, width] } });
  meter?.take(outputs, window.batch, present);
  return finiteOutput(outputs, output.name, [window.batch, output.classes, window.outputSlices, height, width]);
}
