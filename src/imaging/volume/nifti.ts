import { AppError } from '../../kernel/errors.js';
import type { Affine, Vector3 } from './volume.js';

/** Voxels as they lie in a file, first index fastest; the affine leads to LPS millimetres. */
export interface NiftiVolume {
  size: Vector3;
  affine: Affine;
  /** Int16Array when every one is a whole number of that range. */
  voxels: Int16Array | Float32Array;
}

const HEADER_BYTES = 348;

/** NIfTI-1 datatype codes. */
const READERS: Record<number, { bytes: number; read: (view: DataView, at: number, little: boolean) => number }> = {
  2: { bytes: 1, read: (view, at) => view.getUint8(at) },
  4: { bytes: 2, read: (view, at, little) => view.getInt16(at, little) },
  8: { bytes: 4, read: (view, at, little) => view.getInt32(at, little) },
  16: { bytes: 4, read: (view, at, little) => view.getFloat32(at, little) },
  64: { bytes: 8, read: (view, at, little) => view.getFloat64(at, little) },
  256: { bytes: 1, read: (view, at) => view.getInt8(at) },
  512: { bytes: 2, read: (view, at, little) => view.getUint16(at, little) },
};

/**
 * A three-dimensional NIfTI-1 file in LPS: NIfTI's own millimetres are RAS, so the first two rows of its affine change sign. Voxels are scaled.
 *
 * @throws AppError `invalid-image`
 * @see https://nifti.nimh.nih.gov/pub/dist/src/niftilib/nifti1.h
 */
export function readNifti(bytes: Uint8Array): NiftiVolume {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const little = bytes.length >= HEADER_BYTES && view.getInt32(0, true) === 348;
  if (!little && (bytes.length < HEADER_BYTES || view.getInt32(0, false) !== 348)) throw new AppError('invalid-image', { detail: 'This is no NIfTI-1 file' });
  const int16 = (at: number): number => view.getInt16(at, little);
  const float = (at: number): number => view.getFloat32(at, little);
  const size = [int16(42), int16(44), int16(46)] as const;
  const reader = READERS[int16(70)];
  if (reader === undefined) throw new AppError('invalid-image', { detail: `The NIfTI datatype ${String(int16(70))} is not read` });
  const [slope, intercept] = float(112) === 0 ? [1, 0] : [float(112), float(116)];
  const start = float(108);
  const count = size[0] * size[1] * size[2];
  if (!(count > 0) || !(start >= HEADER_BYTES) || start + count * reader.bytes > bytes.length) throw new AppError('invalid-image', { detail: 'The NIfTI file is shorter than its header says, or has no three dimensions' });
  const voxels = new Float32Array(count);
  for (let at = 0; at < voxels.length; at++) voxels[at] = reader.read(view, start + at * reader.bytes, little) * slope + intercept;
  const [right, anterior, superior] = int16(254) > 0 ? [sRow(float, 280), sRow(float, 296), sRow(float, 312)] : qRows(float);
  const whole = voxels.every((value) => Number.isInteger(value) && value >= -32_768 && value <= 32_767);
  return { size, affine: [negated(right), negated(anterior), superior], voxels: whole ? Int16Array.from(voxels) : voxels };
}

type Row = readonly [number, number, number, number];

function sRow(float: (at: number) => number, at: number): Row {
  return [float(at), float(at + 4), float(at + 8), float(at + 12)];
}

/** Method 2 of the header: a quaternion, the sizes of a voxel, and an offset. */
function qRows(float: (at: number) => number): [Row, Row, Row] {
  const [b, c, d] = [float(256), float(260), float(264)];
  const a = Math.sqrt(Math.max(0, 1 - b * b - c * c - d * d));
  const [i, j] = [float(80), float(84)];
  const k = float(88) * (float(76) < 0 ? -1 : 1);
  return [
    [(a * a + b * b - c * c - d * d) * i, 2 * (b * c - a * d) * j, 2 * (b * d + a * c) * k, float(268)],
    [2 * (b * c + a * d) * i, (a * a + c * c - b * b - d * d) * j, 2 * (c * d - a * b) * k, float(272)],
    [2 * (b * d - a * c) * i, 2 * (c * d + a * b) * j, (a * a + d * d - b * b - c * c) * k, float(276)],
  ];
}

function negated([a, b, c, d]: Row): Row {
  return [-a, -b, -c, -d];
}
