import type { Segmentation } from '../../analyses/analysis.js';
import { indexToLps, lpsToIndex, voxelVolumeMl } from '../../volume/geometry.js';
import type { Vector3 } from '../../volume/volume.js';
import type { DerivedSource } from '../derived.js';
import type { Finding } from '../finding.js';
import type { Faults } from './faults.js';
import { volumeMlOf } from './segments.js';

/** Of a volume, beside rounding. */
const TOLERANCE = 0.005;

/** Results give millilitres with two or three decimals. */
export function volumesAgree(ml: number, given: number): boolean {
  return Math.abs(ml - given) <= TOLERANCE * ml + 0.00051 || Math.abs(Number(ml.toFixed(2)) - given) < 1e-9;
}

type Box = NonNullable<NonNullable<Finding['location']>['box']>;

/**
 * The volume of a finding is what is marked in its box: no less where another finding reaches into the box, and that where none does. Volumes are
 * measured between slices too, and the mask only has the slices: they agree to half of what changes from slice to slice, which is as much as can lie
 * between them.
 * Findings without a mark in their box were added by a person, and amended ones may have been measured by one: they are left alone.
 */
export function checkFindingVolumes({ findings, version, segments }: DerivedSource, segmentation: Segmentation, faults: Faults): void {
  if (version > 1) return;
  const inside = new Uint8Array(256);
  for (const { segment, values } of segmentation.members) if (segments.some(({ number }) => number === segment)) for (const value of values) inside[value] = 1;
  for (const [index, finding] of findings.entries()) {
    const given = volumeMlOf(finding);
    const box = finding.location?.box;
    if (given === undefined || box === undefined) continue;
    const marked = markedVoxels(box, segmentation, inside);
    const [ml, betweenMl] = [marked.voxels, marked.changes / 2].map((voxels) => voxels * voxelVolumeMl(segmentation.grid.affine)) as [number, number]; // of two
    if (ml === 0) continue;
    const isAlone = findings.every((other) => other === finding || other.location?.box === undefined || !intersect(box, other.location.box));
    const tooMuch = given > ml * (1 + TOLERANCE) + betweenMl + 0.006;
    const tooLittle = isAlone && given < ml * (1 - TOLERANCE) - betweenMl - 0.006;
    if (tooMuch || tooLittle) faults.add('measurement', `The volume of finding ${String(index + 1)} is ${String(given)} ml, that of its mask ${ml.toFixed(3)} ml`);
  }
}

/** Voxels that are marked in a box, and how many of their neighbours in the slices above and below are not. */
function markedVoxels([a, b]: Box, { grid, labels }: Segmentation, inside: Uint8Array): { voxels: number; changes: number } {
  const corners = [a[0], b[0]].flatMap((x) => [a[1], b[1]].flatMap((y) => [a[2], b[2]].map((z) => lpsToIndex(grid, [x, y, z]))));
  const range = (axis: 0 | 1 | 2): [number, number] => [
    Math.max(0, Math.floor(Math.min(...corners.map((corner) => corner[axis])))), Math.min(grid.size[axis] - 1, Math.ceil(Math.max(...corners.map((corner) => corner[axis])))),
  ];
  const [[i0, i1], [j0, j1], [k0, k1]] = [range(0), range(1), range(2)];
  const holds = (point: Vector3): boolean => ([0, 1, 2] as const).every((axis) => point[axis] >= Math.min(a[axis], b[axis]) - 0.01 && point[axis] <= Math.max(a[axis], b[axis]) + 0.01);
  const area = grid.size[0] * grid.size[1];
  const isMarked = (at: number): boolean => inside[labels[at] ?? 0] === 1;
  let [voxels, changes] = [0, 0];
  for (let k = k0; k <= k1; k++) {
    for (let j = j0; j <= j1; j++) {
      for (let i = i0; i <= i1; i++) {
        const at = i + grid.size[0] * j + area * k;
        if (!isMarked(at) || !holds(indexToLps(grid.affine, [i, j, k]))) continue;
        voxels++;
        changes += (isMarked(at - area) ? 0 : 1) + (isMarked(at + area) ? 0 : 1);
      }
    }
  }
  return { voxels, changes };
}

function intersect([a, b]: Box, [c, d]: Box): boolean {
  return ([0, 1, 2] as const).every((axis) => Math.min(a[axis], b[axis]) < Math.max(c[axis], d[axis]) && Math.min(c[axis], d[axis]) < Math.max(a[axis], b[axis]));
}
