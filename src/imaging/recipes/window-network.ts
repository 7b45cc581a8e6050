import { AppError } from '../../kernel/errors.js';
import type { Session, Tensor } from '../model/session.js';
import type { Vector3 } from '../volume/volume.js';
import type { WindowOutput } from '../volume/blend-windows.js';
import { checkFinite } from './finite-output.js';
import type { StrangenessMeter } from './strangeness.js';

/** Loads the network of a path of the manifest, or hands out the warm one. */
export type Networks = (path: string) => Promise<Session>;

/** What the recipes with windows say of their network. */
export interface WindowNetwork {
  input: { name: string; shape: readonly [number | string, number, number | string, number | string, number | string] };
  /** In the order in which they are wanted. */
  outputs: readonly { name: string; channels: number }[];
}

/** The names of a network: those of the manifest, and where it has none, those that stand first in the network. */
export function windowNetwork(session: Session, input: Omit<WindowNetwork['input'], 'name'> & { name?: string | undefined }, outputs: readonly { name?: string | undefined; channels: number }[]): WindowNetwork {
  return {
    input: { shape: input.shape, name: input.name ?? session.inputNames[0] ?? '' },
    outputs: outputs.map(({ name, channels }, i) => ({ channels, name: name ?? session.outputNames[i] ?? `output ${i}` })),
  };
}

/**
 * One inference over windows `[window, channel, axis 0, axis 1, axis 2]`.
 *
 * @param meter  takes what the network says of the windows besides
 * @throws AppError `model-load-failed` for an output that is not there, `model-output-invalid` for other channels and for numbers that are not finite
 */
export async function runWindows(session: Session, network: WindowNetwork, windows: Float32Array, count: number, size: Vector3, meter?: StrangenessMeter): Promise<WindowOutput[]> {
  const given = await session.run({ [network.input.name]: { data: windows, dims: [count, network.input.shape[1], ...size] } });
  meter?.take(given, count);
  return network.outputs.map(({ name, channels }) => {
    const { data, dims } = given[name] ?? missing('output', name, session.outputNames);
    if (dims.length !== 5 || dims[0] !== count || dims[1] !== channels) {
      throw new AppError('model-output-invalid', { detail: `The output "${name}" has the shape [${dims.join(', ')}]; it must be [${count}, ${channels}, …] with three axes` });
    }
    return { data: finite(data, name), dims };
  });
}

/**
 * The session has the input and outputs that the manifest names, in shapes that go together.
 *
 * @throws AppError `model-load-failed`
 */
export function checkNames(session: Session, network: WindowNetwork): void {
  const { input, outputs } = network;
  if (!session.inputNames.includes(input.name)) missing('input', input.name, session.inputNames);
  if (session.inputNames.length !== 1) throw new AppError('model-load-failed', { detail: `The model has ${session.inputNames.length} inputs; the recipe feeds one` });
  for (const { name } of outputs) if (!session.outputNames.includes(name)) missing('output', name, session.outputNames);
  const declared = session.inputShapes[input.name];
  const agrees = declared?.length === 5 && input.shape.every((size, axis) => typeof size !== 'number' || typeof declared[axis] !== 'number' || declared[axis] === size);
  if (declared && !agrees) throw new AppError('model-load-failed', { detail: `The model's input "${input.name}" has the shape [${declared.join(', ')}], the manifest says [${input.shape.join(', ')}]` });
}

/** A window for a first inference: the fixed sizes of the network, and where it takes any, something small. */
export function smallWindow(session: Session, network: WindowNetwork, window: Vector3, divisibleBy: Vector3): Vector3 {
  const declared = session.inputShapes[network.input.name] ?? [];
  const along = (axis: 0 | 1 | 2): number => {
    const fixed = [declared[axis + 2], network.input.shape[axis + 2]].find((size) => typeof size === 'number' && size > 0);
    return typeof fixed === 'number' ? fixed : Math.min(window[axis], 4 * divisibleBy[axis]);
  };
  return [along(0), along(1), along(2)];
}

/** A slope with a bright block: neither constant nor symmetric. `[channel, axis 0, axis 1, axis 2]`, 0–1. */
export function madeUpWindow(channels: number, [x, y, z]: Vector3): Float32Array {
  return Float32Array.from({ length: channels * x * y * z }, (_, i) => {
    const [a, b, c] = [Math.floor(i / (y * z)) % x, Math.floor(i / z) % y, i % z];
    return a > x / 2 && b > y / 3 && b < y / 2 ? 1 : (0.8 * (a + b + c)) / (x + y + z);
  });
}

function finite(data: Tensor['data'], name: string): Float32Array {
  if (!(data instanceof Float32Array) && !(data instanceof Float64Array)) throw new AppError('model-output-invalid', { detail: `The output "${name}" holds whole numbers; the recipe reads fractions` });
  checkFinite(data, name);
  return data instanceof Float32Array ? data : Float32Array.from(data);
}

function missing(kind: 'input' | 'output', name: string, has: readonly string[]): never {
  throw new AppError('model-load-failed', { detail: `The model has no ${kind} "${name}"; it has ${has.join(', ')}` });
}
