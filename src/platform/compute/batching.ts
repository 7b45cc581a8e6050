import type { Manifest } from '../../imaging/model/manifest.js';

/** Runs that are computed together, unless the manifest says otherwise. More gains little on a CPU and makes the first wait for the last. */
const BATCH_LIMIT = 8;

/** How many runs of a model may be computed side by side in one thread: 1 for all but image classifiers that take batches. */
export function batchLimit(manifest: Manifest): number {
  return manifest.recipe === 'image-classifier' && manifest.input.shape[0] === 'batch' ? (manifest.resources?.batch ?? BATCH_LIMIT) : 1;
}
