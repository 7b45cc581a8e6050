import type { Segmentation } from '../../analyses/analysis.js';
import { indexToLps, lpsToIndex, voxelVolumeMl } from '../../volume/geometry.js';
import type { Vector3 } from '../../volume/volume.js';
import type { DerivedSource } from '../derived.js';
import type { Finding } from '../finding.js';
import type { Faults } from './faults.js';
import { volumeMlOf } from './segments.js';

/** Of a volume, beside rounding. */
const TOLERANCE = 0.005;

/** Analyses that measure what lies between the slices as well: where a mask ends, a volume may end up to half a slice before or behind it. */
const MEASURED_BETWEEN_SLICES: ReadonlySet<string> = new Set(['lung-nodule-detection']);

/** Results give millilitres with two or three decimals. */
export function volumesAgree(ml: number, given: number): boolean {
  return Math.abs(ml - given) <= TOLERANCE * ml + 0.00051 || Math.abs(Number(ml.toFixed(2)) - given) < 1e-9;
}

type Box = NonNullable<NonNullable<Finding['location']>['box']>;

/**
 * The volume of a finding is what is marked in its box: no less where another finding reaches into the box, and exactly that where none does.
 * Findings without a mark in their box were added by a person, and amended ones may have been measured by one: they are left alone.
 */
export function checkFindingVolumes({ analysis, findings, version, segments }: DerivedSource, segmentation: Segmentation, faults: Faults): void {
  if (version > 1) return;
  const inside = new Uint8Array(256);
  for (const { segment, values } of segmentation.members) if (segments.some(({ number }) => number === segment)) for (const value of values) inside[value] = 1;
  for (const [index, finding] of findings.entries()) {
    const given = volumeMlOf(finding);
    const box = finding.location?.box;
    if (given === undefined || box === undefined) continue;
    const { voxels, ends } = markedVoxels(box, segmentation, inside);
    if (voxels === 0) continue;
    const voxelMl = voxelVolumeMl(segmentation.grid.affine);
    const ml = voxels * voxelMl;
    const between = MEASURED_BETWEEN_SLICES.has(analysis) ? (ends / 2) * voxelMl : 0;
    const isAlone = findings.every((other) => other === finding || other.location?.box === undefined || !intersect(box, other.location.box));
    const tooMuch = given > ml * (1 + TOLERANCE) + between + 0.006;
    const tooLittle = isAlone && given < ml * (1 - TOLERANCE) - between - 0.006;
    if (tooMuch || tooLittle) faults.add('measurement', `The volume of finding ${String(index + 1)} is ${String(given)} ml, that of its mask ${ml.toFixed(3)} ml`);
  }
}

/** Voxels in a box, and how many of their faces towards the next slice nothing is marked behind. */
function markedVoxels([a, b]: Box, { grid, labels }: Segmentation, inside: Uint8Array): { voxels: number; ends: number } {
  const corners = [a[0], b[0]].flatMap((x) => [a[1], b[1]].flatMap((y) => [a[2], b[2]].map((z) => lpsToIndex(grid, [x, y, z]))));
  const range = (axis: 0 | 1 | 2): [number, number] => [
    Math.max(0, Math.floor(Math.min(...corners.map((corner) => corner[axis])))), Math.min(grid.size[axis] - 1, Math.ceil(Math.max(...corners.map((corner) => corner[axis])))),
  ];
  const [[i0, i1], [j0, j1], [k0, k1]] = [range(0), range(1), range(2)];
  const holds = (point: Vector3): boolean => ([0, 1, 2] as const).every((axis) => point[axis] >= Math.min(a[axis], b[axis]) - 0.01 && point[axis] <= Math.max(a[axis], b[axis]) + 0.01);
  const area = grid.size[0] * grid.size[1];
  let [voxels, ends] = [0, 0];
  for (let k = k0; k <= k1; k++) {
    for (let j = j0; j <= j1; j++) {
      const row = grid.size[0] * (j + grid.size[1] * k);
      for (let i = i0; i <= i1; i++) {
        if (inside[labels[row + i] ?? 0] !== 1 || !holds(indexToLps(grid.affine, [i, j, k]))) continue;
        voxels++;
        for (const next of [row + i - area, row + i + area]) if (inside[labels[next] ?? 0] !== 1) ends++;
      }
    }
  }
  return { voxels, ends };
}

function intersect([a, b]: Box, [c, d]: Box): boolean {
  return ([0, 1, 2] as const).every((axis) => Math.min(a[axis], b[axis]) < Math.max(c[axis], d[axis]) && Math.min(c[axis], d[axis]) < Math.max(a[axis], b[axis]));
}
