import { AppError } from '../../kernel/errors.js';
import type { Session, Tensor } from '../model/session.js';

/** Of a 32-bit number; all ones for infinities and for what is no number. @see IEEE 754 */
const EXPONENT = 0x7f800000;

/**
 * The output of a network, when it has the wanted shape and nothing but finite numbers.
 *
 * @throws AppError `model-load-failed` when it is absent, `model-output-invalid`
 */
export function finiteOutput(outputs: Readonly<Record<string, Tensor>>, name: string, dims: readonly number[]): Float32Array {
  const tensor = outputs[name];
  if (tensor === undefined) throw new AppError('model-load-failed', { detail: `The model has no output "${name}"` });
  if (tensor.dims.length !== dims.length || dims.some((length, axis) => tensor.dims[axis] !== length)) {
    throw new AppError('model-output-invalid', { detail: `The output "${name}" has the shape [${tensor.dims.join(', ')}], not [${dims.join(', ')}]` });
  }
  const { data } = tensor;
  if (!(data instanceof Float32Array)) throw new AppError('model-output-invalid', { detail: `The output "${name}" does not hold floating-point numbers` });
  checkFinite(data, name);
  return data;
}

/** @throws AppError `model-output-invalid` for infinities and what is no number */
export function checkFinite(data: Tensor['data'], name: string): void {
  // Whole numbers are finite.
  const isFinite = data instanceof Float32Array ? isFinite32(data) : data instanceof Float64Array ? data.every((value) => Number.isFinite(value)) : true;
  if (!isFinite) throw new AppError('model-output-invalid', { detail: `The output "${name}" holds numbers that are not finite` });
}

/** By the exponents: probabilities next to nothing are subnormal, and arithmetic with those takes many times as long. */
function isFinite32({ buffer, byteOffset, length }: Float32Array): boolean {
  const bits = new Uint32Array(buffer, byteOffset, length);
  let finite = true;
  for (let i = 0; i < length; i++) if (((bits[i] ?? 0) & EXPONENT) === EXPONENT) finite = false;
  return finite;
}

/** @throws AppError `model-load-failed` when the network lacks the tensors that a manifest names */
export function checkNames(session: Session, path: string, input: string, output: string): void {
  const fault = (detail: string): AppError => new AppError('model-load-failed', { detail: `${path}: ${detail}` });
  if (!session.inputNames.includes(input)) throw fault(`the network has no input "${input}"; it has ${session.inputNames.join(', ')}`);
  if (session.inputNames.length !== 1) throw fault(`the network has ${session.inputNames.length} inputs; the recipe feeds one`);
  if (!session.outputNames.includes(output)) throw fault(`the network has no output "${output}"; it has ${session.outputNames.join(', ')}`);
}

/** @throws AppError `model-load-failed` when the network declares another shape for its input than the manifest */
export function checkShape(session: Session, path: string, input: string, shape: readonly (number | string)[]): void {
  const declared = session.inputShapes[input];
  if (declared === undefined) return;
  // A batch of one is fed, whatever the batch is called.
  const fits = (length: number | string, axis: number): boolean => typeof length !== 'number' || length < 1 || length === shape[axis] || (axis === 0 && typeof shape[0] === 'string');
  const same = declared.length === shape.length && declared.every(fits);
  if (!same) throw new AppError('model-load-failed', { detail: `${path}: the input "${input}" has the shape [${declared.join(', ')}], the manifest says [${shape.join(', ')}]` });
}
