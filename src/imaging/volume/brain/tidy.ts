import { components, keepComponents } from '../components.js';
import { squaredDistanceTo } from '../distance.js';
import { spacingOf } from '../geometry.js';
import type { Grid } from '../volume.js';

/**
 * Cuts off what hangs on the brain by a neck thinner than twice the radius (eyes, muscles), and what is apart from it.
 *
 * @param mask  0 or 1, `[z, y, x]`
 */
export function cutNecks(mask: Uint8Array, { size, affine }: Grid, radiusMm: number): Uint8Array {
  const spacing = spacingOf(affine);
  const squared = radiusMm ** 2;
  const outside = mask.map((inside) => 1 - inside);
  const depth = squaredDistanceTo(outside, size, spacing);
  const all = components(Uint8Array.from(depth, (d) => (d > squared ? 1 : 0)), size, 6);
  const largest = all.components.reduce<(typeof all.components)[number] | undefined>((a, b) => (a !== undefined && a.voxels >= b.voxels ? a : b), undefined);
  if (largest === undefined) return mask;
  const core = keepComponents(all, (component) => component === largest);
  const away = squaredDistanceTo(core, size, spacing);
  return mask.map((inside, o) => (inside === 1 && (away[o] ?? 0) <= squared ? 1 : 0));
}
