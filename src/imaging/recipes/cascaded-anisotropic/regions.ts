import { boundingBox, close, components, type Connectivity } from '../../volume/mask.js';
import type { Vector3 } from '../../volume/volume.js';
import { cutOut, grownBlock, putBack, voxelsOf } from './box.js';

/** The components with more than `least` voxels. One that is alone stays whatever its size, as in the original. */
export function componentsOver(mask: Uint8Array, size: Vector3, connectivity: Connectivity, least: number): Uint8Array {
  const { labels, sizes } = components(mask, size, connectivity);
  return sizes.length <= 1 ? mask : chosen(labels, sizes.map((voxels) => voxels > least));
}

/** The largest component, and the second one when it has more than `ratio` of the first's voxels. */
export function largestTwo(mask: Uint8Array, size: Vector3, connectivity: Connectivity, ratio: number): Uint8Array {
  const { labels, sizes } = components(mask, size, connectivity);
  if (sizes.length <= 1) return mask;
  const [first = 0, second = 0] = [...sizes.keys()].sort((a, b) => (sizes[b] ?? 0) - (sizes[a] ?? 0));
  const both = (sizes[second] ?? 0) > ratio * (sizes[first] ?? 0);
  return chosen(labels, sizes.map((_, i) => i === first || (both && i === second)));
}

/** The components of which at least the part `least` lies in `within`. */
export function componentsWithin(mask: Uint8Array, within: Uint8Array, size: Vector3, connectivity: Connectivity, least: number): Uint8Array {
  const { labels, sizes } = components(mask, size, connectivity);
  const inside = new Float64Array(sizes.length + 1);
  for (let i = 0; i < labels.length; i++) if (within[i] === 1) inside[labels[i] ?? 0] = (inside[labels[i] ?? 0] ?? 0) + 1;
  return chosen(labels, sizes.map((voxels, i) => (inside[i + 1] ?? 0) >= least * voxels));
}

/**
 * Binary closing with zeros around the volume, as `scipy.ndimage.binary_closing` does it: what touches the border loses its outermost
 * voxels there. Done in the box around the mask, for the whole volume is mostly empty.
 */
export function closed(mask: Uint8Array, size: Vector3, connectivity: Connectivity): Uint8Array {
  const corners = boundingBox(mask, size);
  const out = new Uint8Array(mask.length);
  if (corners === undefined) return out;
  const block = grownBlock(corners, 1, size);
  putBack(out, size, block, close(cutOut(mask, size, block, new Uint8Array(voxelsOf(block.size))), block.size, connectivity));
  return out;
}

function chosen(labels: Int32Array, keep: readonly boolean[]): Uint8Array {
  const table = Uint8Array.from([0, ...keep.map(Number)]);
  const out = new Uint8Array(labels.length);
  for (let i = 0; i < out.length; i++) out[i] = table[labels[i] ?? 0] ?? 0;
  return out;
}
