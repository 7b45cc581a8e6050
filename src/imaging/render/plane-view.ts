import { axisView } from '../volume/axis-view.js';
import { directionOf, spacingOf } from '../volume/geometry.js';
import type { Grid, Vector3 } from '../volume/volume.js';
import { directionLetters } from './orientation.js';
import { axesOf, planeSize, type Planes, type SectionPlan } from './sections.js';
import { windowTransform, type DisplayImage, type Window } from './window.js';

export const PLANES = ['axial', 'coronal', 'sagittal'] as const;
export type PlaneName = (typeof PLANES)[number];

/** How a plane of a grid is shown: the patient's right at the left, the front or the head at the top, as radiologists read. */
export interface PlaneView {
  /** Axis of the grid that the plane lies across; those that run to the right and down on the screen, perhaps the other way round. */
  across: 0 | 1 | 2;
  right: { axis: 0 | 1 | 2; flipped: boolean };
  down: { axis: 0 | 1 | 2; flipped: boolean };
  /** Millimetres between pixels to the right and down. */
  spacing: readonly [number, number];
  /** What lies at each edge: `R`, or `RA` where the grid stands oblique. */
  letters: { left: string; right: string; top: string; bottom: string };
}

/**
 * The view of the plane of a grid that is nearest to the patient's; oblique grids are cut along their own axes and say so by their letters.
 *
 * @throws AppError `internal` for an affine with an axis without length
 */
export function planeView(grid: Grid, plane: PlaneName): PlaneView {
  const [left, posterior, superior] = axisView(grid, 'LPS').axes;
  const toLeft = { axis: left.of, flipped: left.flipped };
  const toBack = { axis: posterior.of, flipped: posterior.flipped };
  const toFeet = { axis: superior.of, flipped: !superior.flipped };
  const [right, down, across] = plane === 'axial' ? [toLeft, toBack, toFeet] : plane === 'coronal' ? [toLeft, toFeet, toBack] : [toBack, toFeet, toLeft];
  const directions = directionOf(grid.affine);
  const spacing = spacingOf(grid.affine);
  const leading = ({ axis, flipped }: PlaneView['right']): Vector3 => signed(directions[axis], flipped ? -1 : 1);
  return {
    across: across.axis, right, down,
    spacing: [spacing[right.axis], spacing[down.axis]],
    letters: {
      right: directionLetters(leading(right)), left: directionLetters(signed(leading(right), -1)),
      bottom: directionLetters(leading(down)), top: directionLetters(signed(leading(down), -1)),
    },
  };
}

/** Values of a plane in the order of the screen, `[down, right]`. */
export function asSeen<A extends Float32Array | Uint8Array>(planes: Planes<A>, plan: SectionPlan, { across, right, down }: PlaneView): { width: number; height: number; values: A } {
  const { [across]: stored } = planes;
  const [fastest] = axesOf(across);
  const { width: storedWidth } = planeSize(plan, across);
  const sizeOf = (axis: 0 | 1 | 2): number => plan.to[axis] - plan.from[axis] + 1;
  const [width, height] = [sizeOf(right.axis), sizeOf(down.axis)];
  const strideOf = (axis: 0 | 1 | 2): number => (axis === fastest ? 1 : storedWidth);
  // The same kind of array, of the same length.
  const values = stored.slice() as A;
  for (let y = 0; y < height; y++) {
    const rowStart = (down.flipped ? height - 1 - y : y) * strideOf(down.axis);
    for (let x = 0; x < width; x++) values[y * width + x] = stored[rowStart + (right.flipped ? width - 1 - x : x) * strideOf(right.axis)] ?? 0;
  }
  return { width, height, values };
}

/** A box of indices as a rectangle on the screen, in pixels of the plane from its upper left corner. */
export function rectangleOf([low, high]: readonly [Vector3, Vector3], plan: SectionPlan, { right, down }: PlaneView): { x: number; y: number; width: number; height: number } {
  const along = ({ axis, flipped }: PlaneView['right']): [number, number] => {
    const [a, b] = [low[axis] - plan.from[axis] + 0.5, high[axis] - plan.from[axis] + 0.5];
    const size = plan.to[axis] - plan.from[axis] + 1;
    return flipped ? [size - b, size - a] : [a, b];
  };
  const [left, end] = along(right);
  const [top, bottom] = along(down);
  return { x: left, y: top, width: end - left, height: bottom - top };
}

/** Modality values as a screen shows them. */
export function windowed({ width, height, values }: { width: number; height: number; values: Float32Array }, window: Window): DisplayImage {
  const transform = windowTransform(window);
  const data = new Uint8Array(values.length);
  for (let at = 0; at < data.length; at++) data[at] = Math.min(255, Math.max(0, Math.round(transform(values[at] ?? 0))));
  return { width, height, channels: 1, data };
}

function signed([x, y, z]: Vector3, sign: 1 | -1): Vector3 {
  return [x * sign, y * sign, z * sign];
}
