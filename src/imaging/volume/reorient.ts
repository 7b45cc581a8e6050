import { directionOf } from './geometry.js';
import type { Affine, Vector3, Vector4, Volume, Voxels } from './volume.js';

/** The direction that an axis grows in: left, right, posterior, anterior, superior (head), inferior. */
const LETTERS = [['L', 'R'], ['P', 'A'], ['S', 'I']] as const;

/**
 * Where the three indices grow to, as three letters: a DICOM axial volume that lies straight is `LPS`.
 *
 * @throws RangeError when two axes are nearest to the same direction of the patient
 */
export function orientationOf(affine: Affine): string {
  return plan(affine).map(({ axis, isForward }) => LETTERS[axis][isForward ? 0 : 1]).join('');
}

/**
 * The same voxels at the same places with the indices in another order and direction: nothing is interpolated, and slices that lie askew stay so.
 * To go back, reorient to `orientationOf` the first.
 *
 * @param code  three letters, such as `LPS` or `RAS`
 * @throws RangeError when the code does not name three directions, or the axes of the volume none
 */
export function reorient<V extends Voxels>(volume: Volume<V>, code: string): Volume<V> {
  const have = plan(volume.affine);
  const steps = wanted(code).map(({ axis, isForward }) => {
    const from = have.findIndex((entry) => entry.axis === axis);
    return { from, isTurned: have[from]?.isForward !== isForward };
  });
  const [a, b, c] = steps;
  if (a === undefined || b === undefined || c === undefined) throw new RangeError('An orientation has three letters');
  if (steps.every(({ from, isTurned }, index) => from === index && !isTurned)) return volume;
  const strides = [1, volume.size[0], volume.size[0] * volume.size[1]];
  const sizeOf = (from: number): number => volume.size[from] ?? 1;
  const size: Vector3 = [sizeOf(a.from), sizeOf(b.from), sizeOf(c.from)];
  const strideOf = ({ from, isTurned }: Step): number => (strides[from] ?? 0) * (isTurned ? -1 : 1);
  const start = steps.reduce((sum, { from, isTurned }) => sum + (isTurned ? (sizeOf(from) - 1) * (strides[from] ?? 0) : 0), 0);
  const [across, down, through] = [strideOf(a), strideOf(b), strideOf(c)];
  // A slice of a typed array is of its own class; the types of the constructors do not say so.
  const voxels = volume.voxels.slice() as V;
  for (let k = 0, out = 0; k < size[2]; k++) {
    for (let j = 0; j < size[1]; j++) {
      for (let i = 0, from = start + j * down + k * through; i < size[0]; i++, from += across, out++) voxels[out] = volume.voxels[from] ?? 0;
    }
  }
  return { ...volume, size, affine: reorientedAffine(volume, steps), voxels };
}

interface Step {
  from: number;
  isTurned: boolean;
}

function reorientedAffine({ affine, size }: Volume<Voxels>, steps: readonly Step[]): Affine {
  const row = (old: Vector4): Vector4 => {
    const column = (step: Step | undefined): number => (step === undefined ? 0 : (old[step.from] ?? 0) * (step.isTurned ? -1 : 1));
    const origin = steps.reduce((sum, { from, isTurned }) => sum + (isTurned ? (old[from] ?? 0) * ((size[from] ?? 1) - 1) : 0), old[3]);
    return [column(steps[0]), column(steps[1]), column(steps[2]), origin];
  };
  return [row(affine[0]), row(affine[1]), row(affine[2])];
}

interface Direction {
  axis: 0 | 1 | 2;
  isForward: boolean;
}

/** Of each index the axis of the patient that it is nearest to; the straightest index chooses first. */
function plan(affine: Affine): Direction[] {
  const directions = directionOf(affine);
  const out: (Direction | undefined)[] = [undefined, undefined, undefined];
  const pairs = ([0, 1, 2] as const).flatMap((index) => ([0, 1, 2] as const).map((axis) => ({ index, axis, value: directions[index][axis] })));
  for (const { index, axis, value } of pairs.sort((p, q) => Math.abs(q.value) - Math.abs(p.value))) {
    if (out[index] === undefined && out.every((taken) => taken?.axis !== axis) && Math.abs(value) > 1e-6) out[index] = { axis, isForward: value > 0 };
  }
  const complete = out.filter((direction) => direction !== undefined);
  if (complete.length !== 3) throw new RangeError('The axes of the volume do not span the patient');
  return complete;
}

function wanted(code: string): Direction[] {
  const directions = Array.from(code).map((letter): Direction | undefined => {
    const axis = LETTERS.findIndex((pair) => pair.some((name) => name === letter));
    return axis === 0 || axis === 1 || axis === 2 ? { axis, isForward: LETTERS[axis][0] === letter } : undefined;
  });
  const complete = directions.filter((direction) => direction !== undefined);
  if (complete.length !== 3 || directions.length !== 3 || new Set(complete.map(({ axis }) => axis)).size !== 3) throw new RangeError(`Not an orientation: ${code}`);
  return complete;
}
