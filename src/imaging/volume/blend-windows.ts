import { AppError } from '../../kernel/errors.js';
import type { Vector3 } from './volume.js';
import { cropOfOutput, importanceMap, resizeNearest, windowStarts, type Blending, type WindowPlan } from './windows.js';

/** What a network gave for a batch of windows: `[window, channel, axis 0, axis 1, axis 2]`, at a resolution of its own. */
export interface WindowOutput {
  data: Float32Array;
  dims: readonly number[];
}

/** The blended values of one plane across the last axis: `[channel, axis 0, axis 1]`. It is used again after the call. */
export interface Plane {
  /** Position in the order of the network's outputs. */
  output: number;
  /** Along the last axis, of `size` planes, without padding; planes come in ascending order. */
  at: number;
  values: Float32Array;
  channels: number;
  /** The output's grid, without padding. */
  size: Vector3;
}

export interface BlendOptions {
  plan: WindowPlan;
  blending: Blending;
  /** Channels of the network's input. */
  channels: number;
  /** Windows in one inference. */
  batch: number;
  /** Writes the window that begins at `start` of the image (negative in the padding) as `[channel, axis 0, axis 1, axis 2]`. */
  read: (start: Vector3, into: Float32Array) => void;
  /** One inference of `count` windows; the outputs always come in the same order. */
  run: (windows: Float32Array, count: number) => Promise<readonly WindowOutput[]>;
  plane: (plane: Plane) => void;
  progress?: (done: number) => void;
}

/**
 * Runs a network over all windows of a plan and hands out the weighted mean of what they say, plane by plane.
 * Only planes that a window still to come may touch are held: memory goes with the window's depth, not with the image's.
 *
 * @returns how many windows ran
 * @throws AppError `model-output-invalid` for outputs that change their shape
 * @see MONAI 1.6 `sliding_window_inference`
 */
export async function blendWindows(options: BlendOptions): Promise<number> {
  const { plan, channels, read, run } = options;
  const starts = windowStarts(plan);
  const length = channels * plan.window[0] * plan.window[1] * plan.window[2];
  const batch = Math.min(options.batch, starts.length);
  const windows = new Float32Array(batch * length);
  let blenders: Blender[] | undefined;
  for (let done = 0; done < starts.length; ) {
    const group = starts.slice(done, done + batch);
    for (const [n, [x, y, z]] of group.entries()) {
      read([x - plan.before[0], y - plan.before[1], z - plan.before[2]], windows.subarray(n * length, (n + 1) * length));
    }
    const outputs = await run(windows.subarray(0, group.length * length), group.length);
    blenders ??= openBlenders(outputs, options);
    for (const [i, output] of outputs.entries()) blenders[i]?.add(output, group);
    done += group.length;
    const next = starts[done];
    for (const blender of blenders) blender.closeBefore(next === undefined ? Infinity : next[2]);
    options.progress?.(done / starts.length);
  }
  return starts.length;
}

interface Blender {
  add(output: WindowOutput, starts: readonly Vector3[]): void;
  /** Hands out the planes that no window from `z` of the padded image on touches. */
  closeBefore(z: number): void;
}

function openBlenders(outputs: readonly WindowOutput[], { plan, blending, plane }: BlendOptions): Blender[] {
  // MONAI scales the map from output to output, not each time from the window's; so do we.
  let map = importanceMap(plan.window, blending);
  let at = plan.window;
  return outputs.map((output, index) => {
    const size: Vector3 = [output.dims[2] ?? 0, output.dims[3] ?? 0, output.dims[4] ?? 0];
    if (output.dims.length !== 5 || size.some((n) => n < 1)) throw new AppError('model-output-invalid', { detail: `An output has the shape [${output.dims.join(', ')}]; it must have five dimensions` });
    [map, at] = [resizeNearest(map, at, size), size];
    return openBlender(plan, size, output.dims[1] ?? 0, map, (values, z, cropped) => { plane({ output: index, at: z, values, channels: output.dims[1] ?? 0, size: cropped }); });
  });
}

function openBlender(plan: WindowPlan, size: Vector3, channels: number, map: Float32Array, hand: (values: Float32Array, z: number, size: Vector3) => void): Blender {
  const { grid, from, to } = cropOfOutput(plan, size);
  const [sizeX, sizeY, sizeZ] = size;
  const cropped: Vector3 = [to[0] - from[0], to[1] - from[1], to[2] - from[2]];
  const area = grid[0] * grid[1];
  const places = sizeX * sizeY * sizeZ;
  const outgoing = new Float32Array(channels * cropped[0] * cropped[1]);
  const scaled = (value: number, axis: 0 | 1 | 2): number => Math.floor((value * size[axis]) / plan.window[axis]);
  /** Open planes: the weighted sums of each channel, then the weights' sums. */
  const open = new Map<number, Float32Array>();
  const spare: Float32Array[] = [];
  let closed = 0;
  const planeAt = (z: number): Float32Array => {
    const found = open.get(z);
    if (found) return found;
    const plane = spare.pop()?.fill(0) ?? new Float32Array((channels + 1) * area);
    open.set(z, plane);
    return plane;
  };
  return {
    add({ data, dims }, starts) {
      if (dims[0] !== starts.length || dims[1] !== channels || dims[2] !== sizeX || dims[3] !== sizeY || dims[4] !== sizeZ) {
        throw new AppError('model-output-invalid', { detail: `An output has the shape [${dims.join(', ')}] where [${[starts.length, channels, ...size].join(', ')}] was expected` });
      }
      for (const [n, start] of starts.entries()) {
        const [x0, y0, z0] = [scaled(start[0], 0), scaled(start[1], 1), scaled(start[2], 2)];
        for (let z = 0; z < sizeZ; z++) planeAt(z0 + z);
        for (let channel = 0; channel <= channels; channel++) {
          const values = channel === channels ? undefined : data.subarray((n * channels + channel) * places, (n * channels + channel + 1) * places);
          for (let x = 0; x < sizeX; x++) {
            // One layer [y, z] of the window at a time: it stays in the cache while it is turned into planes.
            for (let z = 0; z < sizeZ; z++) {
              const into = planeAt(z0 + z).subarray(channel * area + (x0 + x) * grid[1] + y0);
              addColumn(into, values, map, x * sizeY * sizeZ + z, sizeZ, sizeY);
            }
          }
        }
      }
    },
    closeBefore(z) {
      const end = z === Infinity ? grid[2] : scaled(z, 2);
      for (; closed < end; closed++) {
        const plane = open.get(closed);
        open.delete(closed);
        if (plane) spare.push(plane);
        if (plane === undefined || closed < from[2] || closed >= to[2]) continue;
        let at = 0;
        for (let channel = 0; channel < channels; channel++) {
          for (let x = from[0]; x < to[0]; x++) {
            for (let y = from[1]; y < to[1]; y++) {
              const cell = x * grid[1] + y;
              outgoing[at++] = (plane[channel * area + cell] ?? 0) / (plane[channels * area + cell] ?? 1);
            }
          }
        }
        hand(outgoing, closed - from[2], cropped);
      }
    },
  };
}

/** Adds weighted values, or the weights alone, that lie `stride` apart from `from` on. */
function addColumn(into: Float32Array, values: Float32Array | undefined, weights: Float32Array, from: number, stride: number, count: number): void {
  if (values === undefined) {
    for (let y = 0, at = from; y < count; y++, at += stride) into[y] = (into[y] ?? 0) + (weights[at] ?? 0);
  } else {
    for (let y = 0, at = from; y < count; y++, at += stride) into[y] = (into[y] ?? 0) + (values[at] ?? 0) * (weights[at] ?? 0);
  }
}
