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

/**
 * Takes off the rim what is no brain: fat, bone and air, which are dark in the composite, as far as they reach in from the surface.
 *
 * @param composite  of `brainComposite`
 * @param below  what is darker goes
 */
export function peel(mask: Uint8Array, composite: Float32Array, { size, affine }: Grid, depthMm: number, below: number): Uint8Array {
  const [columns, rows, slices] = size;
  const depth = squaredDistanceTo(mask.map((inside) => 1 - inside), size, spacingOf(affine));
  const out = mask.slice();
  const isPeel = (o: number): boolean => out[o] === 1 && (composite[o] ?? 0) < below && (depth[o] ?? 0) <= depthMm ** 2;
  const touchesOutside = (o: number): boolean => out[o - 1] === 0 || out[o + 1] === 0 || out[o - columns] === 0 || out[o + columns] === 0 || out[o - columns * rows] === 0 || out[o + columns * rows] === 0;
  const stack: number[] = [];
  for (let o = 0; o < out.length; o++) if (isPeel(o) && touchesOutside(o)) stack.push(o);
  for (let o = stack.pop(); o !== undefined; o = stack.pop()) {
    if (!isPeel(o)) continue;
    out[o] = 0;
    const i = o % columns;
    const j = Math.floor(o / columns) % rows;
    const k = Math.floor(o / (columns * rows));
    if (i > 0) stack.push(o - 1);
    if (i < columns - 1) stack.push(o + 1);
    if (j > 0) stack.push(o - columns);
    if (j < rows - 1) stack.push(o + columns);
    if (k > 0) stack.push(o - columns * rows);
    if (k < slices - 1) stack.push(o + columns * rows);
  }
  return out;
}
