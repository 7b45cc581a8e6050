import yauzl from 'yauzl';
import { CommandError } from '../failure.js';

/** An array of NumPy; row-major. */
export interface NumpyArray {
  shape: number[];
  data: Uint8Array | Int8Array | Uint16Array | Int16Array | Int32Array | BigInt64Array | Float32Array | Float64Array;
}

const TYPES = {
  '|u1': Uint8Array, '<u1': Uint8Array, '|b1': Uint8Array, '|i1': Int8Array, '<u2': Uint16Array, '<i2': Int16Array, '<i4': Int32Array, '<i8': BigInt64Array, '<f4': Float32Array, '<f8': Float64Array,
} as const;

/** Reads the named arrays of a `.npz` file, those that it has. @throws CommandError `dataset-invalid` */
export async function readNpz(file: string, names: readonly string[]): Promise<Map<string, NumpyArray>> {
  const arrays = new Map<string, NumpyArray>();
  try {
    const zip = await yauzl.openPromise(file);
    try {
      for await (const entry of zip.eachEntry()) {
        const name = entry.fileName.replace(/\.npy$/, '');
        if (!names.includes(name)) continue;
        const parts: Buffer[] = [];
        for await (const part of await zip.openReadStreamPromise(entry)) parts.push(part as Buffer);
        arrays.set(name, parseNpy(Buffer.concat(parts)));
      }
    } finally {
      zip.close();
    }
  } catch (error) {
    if (error instanceof CommandError || (error instanceof Error && 'syscall' in error)) throw error;
    throw new CommandError('dataset-invalid', `${file} is not an npz archive`, { cause: error });
  }
  return arrays;
}

/** @see NumPy NEP 1, the npy format. @throws CommandError `dataset-invalid` */
export function parseNpy(bytes: Buffer): NumpyArray {
  const wrong = (what: string): CommandError => new CommandError('dataset-invalid', `An array of the npz archive ${what}`);
  if (bytes.length < 12 || bytes.toString('latin1', 0, 6) !== '\x93NUMPY') throw wrong('is not in the npy format');
  const isLong = (bytes[6] ?? 1) >= 2;
  const start = isLong ? 12 : 10;
  const end = start + (isLong ? bytes.readUInt32LE(8) : bytes.readUInt16LE(8));
  const header = bytes.toString('latin1', start, end);
  const type = /'descr':\s*'([^']+)'/.exec(header)?.[1] ?? '';
  const shape = (/'shape':\s*\(([^)]*)\)/.exec(header)?.[1] ?? '').split(',').map((part) => part.trim()).filter((part) => part !== '').map(Number);
  if (!(type in TYPES)) throw wrong(`has the type ${type}, which is not read`);
  if (/'fortran_order':\s*True/.test(header)) throw wrong('is in Fortran order, which is not read');
  // The line above has looked.
  const Kind = TYPES[type as keyof typeof TYPES];
  const count = shape.reduce((product, side) => product * side, 1);
  if (end + count * Kind.BYTES_PER_ELEMENT > bytes.length) throw wrong('is cut off');
  // A copy begins on the boundary that the element type needs.
  return { shape, data: new Kind(Uint8Array.from(bytes.subarray(end, end + count * Kind.BYTES_PER_ELEMENT)).buffer) };
}
