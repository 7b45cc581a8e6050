import type { Vector3 } from '../volume/volume.js';
import type { Box } from './anchors.js';

export interface ScoredBox {
  box: Box;
  score: number;
  /** Which class of the network's; boxes of different classes do not suppress each other. */
  class: number;
}

/** Intersection over union. */
export function overlapOf(a: Box, b: Box): number {
  const common = extent(Math.max(a[0], b[0]), Math.min(a[3], b[3])) * extent(Math.max(a[1], b[1]), Math.min(a[4], b[4])) * extent(Math.max(a[2], b[2]), Math.min(a[5], b[5]));
  return common === 0 ? 0 : common / (volumeOf(a) + volumeOf(b) - common);
}

/** A box within [0, size]; null when less than one step is left on an axis. @see MONAI 1.6 `spatial_crop_boxes` */
export function clipBox(box: Box, size: Vector3): Box | null {
  const within = (value: number, axis: 0 | 1 | 2): number => Math.min(Math.max(value, 0), size[axis]);
  const clipped: Box = [within(box[0], 0), within(box[1], 1), within(box[2], 2), within(box[3], 0), within(box[4], 1), within(box[5], 2)];
  return clipped[3] >= clipped[0] + 1 && clipped[4] >= clipped[1] + 1 && clipped[5] >= clipped[2] + 1 ? clipped : null;
}

/**
 * Greedy suppression: best score first, whatever of the same class overlaps a kept box more than `iou` goes.
 * Equal scores keep their order.
 *
 * @param limit  how many are kept at most
 * @see MONAI 1.6 `batched_nms`, `non_max_suppression`
 */
export function suppress<B extends ScoredBox>(boxes: readonly B[], iou: number, limit = Infinity): B[] {
  const kept: B[] = [];
  for (const candidate of byScore(boxes)) {
    if (kept.length >= limit) break;
    if (!kept.some((other) => other.class === candidate.class && overlapOf(other.box, candidate.box) > iou)) kept.push(candidate);
  }
  return kept;
}

/** The best `count` of what is added, without ever holding many more. Equal scores keep their order. */
export function best<T extends { score: number }>(count: number): { add(item: T): void; list(): T[] } {
  let held: T[] = [];
  return {
    add(item) {
      held.push(item);
      if (held.length >= 4 * count) held = byScore(held).slice(0, count);
    },
    list: () => byScore(held).slice(0, count),
  };
}

function byScore<T extends { score: number }>(items: readonly T[]): T[] {
  return [...items].sort((a, b) => b.score - a.score);
}

function extent(low: number, high: number): number {
  return Math.max(high - low, 0);
}

function volumeOf(box: Box): number {
  return (box[3] - box[0]) * (box[4] - box[1]) * (box[5] - box[2]);
}
