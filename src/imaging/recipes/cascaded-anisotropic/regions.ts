import { components, keepComponents } from '../../volume/components.js';
import { boundingBox, close } from '../../volume/morphology.js';
import type { Connectivity } from '../../volume/neighbours.js';
import type { Vector3 } from '../../volume/volume.js';
import { cutOut, grownBlock, putBack, voxelsOf } from '../../volume/block.js';

/** The components with more than `least` voxels. One that is alone stays whatever its size, as in the original. */
export function componentsOver(mask: Uint8Array, size: Vector3, connectivity: Connectivity, least: number): Uint8Array {
  const found = components(mask, size, connectivity);
  return found.components.length <= 1 ? mask : keepComponents(found, ({ voxels }) => voxels > least);
}

/** The largest component, and the second one when it has more than `ratio` of the first's voxels. */
export function largestTwo(mask: Uint8Array, size: Vector3, connectivity: Connectivity, ratio: number): Uint8Array {
  const found = components(mask, size, connectivity);
  const [first, second] = [...found.components].sort((a, b) => b.voxels - a.voxels);
  if (first === undefined || second === undefined) return mask;
  const both = second.voxels > ratio * first.voxels;
  return keepComponents(found, ({ label }) => label === first.label || (both && label === second.label));
}

/** The components of which at least the part `least` lies in `within`. */
export function componentsWithin(mask: Uint8Array, within: Uint8Array, size: Vector3, connectivity: Connectivity, least: number): Uint8Array {
  const found = components(mask, size, connectivity);
  const { labels } = found;
  const inside = new Float64Array(found.components.length + 1);
  for (let i = 0; i < labels.length; i++) if (within[i] === 1) inside[labels[i] ?? 0] = (inside[labels[i] ?? 0] ?? 0) + 1;
  return keepComponents(found, ({ label, voxels }) => (inside[label] ?? 0) >= least * voxels);
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
