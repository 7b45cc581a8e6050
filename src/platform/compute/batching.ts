import type { Manifest } from '../../imaging/model/manifest.js';

/** Images of different runs that go through a network together. More gains little on any device and makes the first wait for the last. */
export const BATCH_LIMIT = 8;

/** How many runs of a model may be computed side by side in one thread: 1 for all but image classifiers that take batches. */
export function batchLimit(manifest: Manifest): number {
  return manifest.recipe === 'image-classifier' && manifest.input.shape[0] === 'batch' ? BATCH_LIMIT : 1;
}
