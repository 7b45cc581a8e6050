import { components, keepComponents } from './components.js';
import { offsetsOf, type Connectivity } from './neighbours.js';
import type { Vector3 } from './volume.js';

// Binary morphology with the structuring elements and edges of scipy.ndimage: outside of the grid is background.

/** The mask grown by one voxel towards its neighbours, `steps` times. Masks are 0 or 1, `[z, y, x]`. */
export function dilate(mask: Uint8Array, size: Vector3, connectivity: Connectivity = 6, steps = 1): Uint8Array {
  return repeat(mask, steps, (now) => spread(now, size, connectivity));
}

/** The mask shrunk by one voxel, `steps` times; what touches the edge of the grid is taken away. */
export function erode(mask: Uint8Array, size: Vector3, connectivity: Connectivity = 6, steps = 1): Uint8Array {
  return repeat(mask, steps, (now) => survivors(now, size, connectivity));
}

/** Dilation, then erosion. */
export function close(mask: Uint8Array, size: Vector3, connectivity: Connectivity = 6, steps = 1): Uint8Array {
  return erode(dilate(mask, size, connectivity, steps), size, connectivity, steps);
}

/** Erosion, then dilation. */
export function open(mask: Uint8Array, size: Vector3, connectivity: Connectivity = 6, steps = 1): Uint8Array {
  return dilate(erode(mask, size, connectivity, steps), size, connectivity, steps);
}

/** Background that does not reach the edge of the grid becomes part of the mask. */
export function fillHoles(mask: Uint8Array, size: Vector3): Uint8Array {
  const background = components(mask.map((value) => (value === 0 ? 1 : 0)), size, 6);
  const holes = keepComponents(background, ({ box: [from, to] }) => from.every((value) => value > 0) && to.every((value, axis) => value < (size[axis] ?? 0) - 1));
  return mask.map((value, offset) => value | (holes[offset] ?? 0));
}

/** Smallest and largest index inside of the mask; undefined when it is empty. */
export function boundingBox(mask: ArrayLike<number>, [columns, rows, slices]: Vector3): [Vector3, Vector3] | undefined {
  const [from, to] = [[columns, rows, slices], [-1, -1, -1]] as [[number, number, number], [number, number, number]]; // mutable triples
  for (let k = 0, offset = 0; k < slices; k++) {
    for (let j = 0; j < rows; j++) {
      for (let i = 0; i < columns; i++, offset++) {
        if (!mask[offset]) continue;
        if (i < from[0]) from[0] = i;
        if (i > to[0]) to[0] = i;
        if (j < from[1]) from[1] = j;
        if (j > to[1]) to[1] = j;
        if (k < from[2]) from[2] = k;
        if (k > to[2]) to[2] = k;
      }
    }
  }
  return to[0] < 0 ? undefined : [from, to];
}

/** The least box around everything that is in any of several masks; undefined when they are empty. */
export function boundingBoxOfAll(masks: readonly ArrayLike<number>[], size: Vector3): [Vector3, Vector3] | undefined {
  const boxes = masks.flatMap((mask) => boundingBox(mask, size) ?? []);
  const along = (axis: 0 | 1 | 2, of: (...values: number[]) => number): number => of(...boxes.map((corner) => corner[axis]));
  return boxes.length === 0 ? undefined : [[along(0, Math.min), along(1, Math.min), along(2, Math.min)], [along(0, Math.max), along(1, Math.max), along(2, Math.max)]];
}

const HERE: Vector3 = [0, 0, 0];

function repeat(mask: Uint8Array, steps: number, once: (mask: Uint8Array) => Uint8Array): Uint8Array {
  let now = mask;
  for (let step = 0; step < steps; step++) now = once(now);
  return now;
}

/** Every voxel of the mask takes its neighbours in. */
function spread(mask: Uint8Array, [columns, rows, slices]: Vector3, connectivity: Connectivity): Uint8Array {
  const out = mask.slice();
  const offsets = offsetsOf(connectivity);
  const steps = Int32Array.from(offsets, ([i, j, k]) => i + columns * (j + rows * k));
  for (let k = 0, offset = 0; k < slices; k++) {
    for (let j = 0; j < rows; j++) {
      for (let i = 0; i < columns; i++, offset++) {
        if (mask[offset] === 0) continue;
        const within = i > 0 && j > 0 && k > 0 && i < columns - 1 && j < rows - 1 && k < slices - 1;
        for (let n = 0; n < steps.length; n++) {
          const [di, dj, dk] = within ? HERE : (offsets[n] ?? HERE);
          if (within || (i + di >= 0 && j + dj >= 0 && k + dk >= 0 && i + di < columns && j + dj < rows && k + dk < slices)) out[offset + (steps[n] ?? 0)] = 1;
        }
      }
    }
  }
  return out;
}

/** The voxels whose neighbours are all in the mask; beyond the edge nothing is. Most voxels are background and cost nothing. */
function survivors(mask: Uint8Array, [columns, rows, slices]: Vector3, connectivity: Connectivity): Uint8Array {
  const out = new Uint8Array(mask.length);
  const steps = Int32Array.from(offsetsOf(connectivity), ([i, j, k]) => i + columns * (j + rows * k));
  for (let k = 1; k < slices - 1; k++) {
    for (let j = 1; j < rows - 1; j++) {
      let offset = 1 + columns * (j + rows * k);
      for (const end = offset + columns - 2; offset < end; offset++) {
        if (mask[offset] === 0) continue;
        let whole: 0 | 1 = 1;
        for (const step of steps) {
          if (mask[offset + step] === 0) {
            whole = 0;
            break;
          }
        }
        out[offset] = whole;
      }
    }
  }
  return out;
}
