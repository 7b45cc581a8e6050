import type { NoduleFindings } from '../../model/manifests/nodule-findings.js';
import { components } from '../../volume/components.js';
import type { Vector3 } from '../../volume/volume.js';
import type { Region } from './region.js';

export type Attenuation = 'solid' | 'part-solid' | 'ground-glass';

/** Millimetres in the axial slice where the nodule is longest. */
export interface Axes {
  longMm: number;
  shortMm: number;
  /** Of the region's box. */
  slice: number;
}

export interface Measured {
  axes: Axes;
  volumeMm3: number;
  /** Hounsfield units. */
  meanHu: number;
  attenuation: Attenuation;
  /** Of the solid part of a part-solid nodule. */
  solidAxes?: Axes | undefined;
  /** Centre of the voxels, index of the whole volume. */
  centre: Vector3;
}

/**
 * The largest axial diameter and the longest one across it.
 *
 * @returns undefined for an empty mask
 * @see American College of Radiology, Lung-RADS v2022: long and short axis to one decimal point, and their mean
 */
export function axesOf({ mask, size, spacing }: Pick<Region, 'mask' | 'size' | 'spacing'>): Axes | undefined {
  const [columns, rows, slices] = size;
  let best: Axes | undefined;
  for (let k = 0; k < slices; k++) {
    const plane = mask.subarray(columns * rows * k, columns * rows * (k + 1));
    if (!plane.includes(1)) continue;
    const found = components(plane, [columns, rows, 1], 26);
    for (const { label } of found.components) {
      const own = plane.map((_, offset) => (found.labels[offset] === label ? 1 : 0));
      const axes = planarAxes(own, columns, rows, spacing);
      if (!best || axes.longMm > best.longMm) best = { ...axes, slice: k };
    }
  }
  return best;
}

/** In one plane; the outline runs through the middle of the edges between pixels, which is true to within a fraction of one. */
function planarAxes(mask: Uint8Array, columns: number, rows: number, [width, height]: Vector3): { longMm: number; shortMm: number } {
  const outline: [number, number][] = [];
  const inside = (i: number, j: number): boolean => i >= 0 && j >= 0 && i < columns && j < rows && mask[i + columns * j] === 1;
  for (let j = 0; j < rows; j++) {
    for (let i = 0; i < columns; i++) {
      if (!inside(i, j)) continue;
      for (const [di, dj] of [[1, 0], [-1, 0], [0, 1], [0, -1]] as const) if (!inside(i + di, j + dj)) outline.push([(i + di / 2) * width, (j + dj / 2) * height]);
    }
  }
  const corners = hull(outline);
  let [longMm, dx, dy] = [0, 1, 0];
  for (const [a, p] of corners.entries()) {
    for (const q of corners.slice(a + 1)) {
      const length = Math.hypot(q[0] - p[0], q[1] - p[1]);
      if (length > longMm) [longMm, dx, dy] = [length, (q[0] - p[0]) / length, (q[1] - p[1]) / length];
    }
  }
  return { longMm, shortMm: longestAcross(mask, columns, rows, [width, height], [dx, dy]) };
}

/** The longest way through the mask at a right angle to a direction: lines half a pixel apart, in steps of a tenth. */
function longestAcross(mask: Uint8Array, columns: number, rows: number, [width, height]: readonly [number, number], [dx, dy]: readonly [number, number]): number {
  const step = Math.min(width, height) / 10;
  const reach = Math.hypot(columns * width, rows * height);
  const [cx, cy] = [((columns - 1) * width) / 2, ((rows - 1) * height) / 2];
  let best = 0;
  for (let along = -reach / 2; along <= reach / 2; along += 5 * step) {
    let [run, longest] = [0, 0];
    for (let across = -reach / 2; across <= reach / 2; across += step) {
      const i = Math.round((cx + along * dx - across * dy) / width);
      const j = Math.round((cy + along * dy + across * dx) / height);
      run = i >= 0 && j >= 0 && i < columns && j < rows && mask[i + columns * j] === 1 ? run + 1 : 0;
      if (run > longest) longest = run;
    }
    best = Math.max(best, longest * step);
  }
  return best;
}

/** Convex hull. @see Andrew 1979, monotone chain */
function hull(points: [number, number][]): [number, number][] {
  const sorted = [...points].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const half = (list: readonly [number, number][]): [number, number][] => {
    const chain: [number, number][] = [];
    for (const point of list) {
      for (;;) {
        const [p, q] = [chain.at(-2), chain.at(-1)];
        if (!p || !q || (q[0] - p[0]) * (point[1] - p[1]) - (q[1] - p[1]) * (point[0] - p[0]) > 0) break;
        chain.pop();
      }
      chain.push(point);
    }
    return chain;
  };
  return [...half(sorted), ...half(sorted.toReversed())];
}

/**
 * Sizes, density and kind of a nodule.
 *
 * @param withGroundGlass  the nodule with everything down to ground glass; where that reaches much further there is a halo, and it is the nodule
 * @returns undefined when nothing is left to measure; and the region that was measured
 */
export function measureNodule({ nodule, withGroundGlass }: { nodule: Region; withGroundGlass: Region | undefined }, { solidHu, minSolidMm, solidFrom, haloMm }: NoduleFindings['solidity']): { measured: Measured; region: Region } | undefined {
  const dense = statistics(nodule, solidHu);
  const wide = withGroundGlass && statistics(withGroundGlass, solidHu);
  const halo = wide !== undefined && radiusOf(wide.volumeMm3) - radiusOf(dense.volumeMm3) > haloMm;
  const [region, own] = halo && withGroundGlass ? [withGroundGlass, wide] : [nodule, dense];
  const axes = axesOf(region);
  if (!axes) return undefined;
  const solidAxes = axesOf({ ...region, mask: solidPart(region, solidHu) });
  const attenuation: Attenuation = !solidAxes || meanDiameterMm(solidAxes) < minSolidMm ? 'ground-glass' : halo || own.solid < solidFrom ? 'part-solid' : 'solid';
  const { volumeMm3, meanHu, centre } = own;
  return { region, measured: { axes, volumeMm3, meanHu, attenuation, ...(attenuation === 'part-solid' && { solidAxes }), centre } };
}

/** Mean of the axes, to one decimal. */
export function meanDiameterMm({ longMm, shortMm }: Axes): number {
  return Math.round(5 * (longMm + shortMm)) / 10;
}

function statistics({ mask, hu, solid: { volumeMm3, centre }, box: [from] }: Region, solidHu: number): { volumeMm3: number; meanHu: number; solid: number; centre: Vector3 } {
  let [count, total, solid] = [0, 0, 0];
  for (let offset = 0; offset < mask.length; offset++) {
    if (mask[offset] === 0) continue;
    const value = hu[offset] ?? 0;
    count++;
    total += value;
    if (value >= solidHu) solid++;
  }
  const n = Math.max(count, 1);
  return { volumeMm3, meanHu: total / n, solid: solid / n, centre: [from[0] + centre[0], from[1] + centre[1], from[2] + centre[2]] };
}

function radiusOf(volumeMm3: number): number {
  return Math.cbrt((3 * volumeMm3) / (4 * Math.PI));
}

/** The largest connected solid part. */
function solidPart({ mask, hu, size }: Region, solidHu: number): Uint8Array {
  const found = components(mask.map((value, offset) => (value === 1 && (hu[offset] ?? 0) >= solidHu ? 1 : 0)), size, 26);
  const largest = found.components.reduce((best, component) => (component.voxels > best.voxels ? component : best), { label: -1, voxels: 0 });
  return mask.map((_, offset) => (found.labels[offset] === largest.label ? 1 : 0));
}
