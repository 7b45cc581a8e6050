import { describe, expect, it } from 'vitest';
import { parseCsv } from './csv.js';
import { parseNpy } from './npz.js';

function npy(descr: string, shape: string, data: Uint8Array, fortran = 'False'): Buffer {
  const text = `{'descr': '${descr}', 'fortran_order': ${fortran}, 'shape': ${shape}, }`;
  const header = Buffer.from(`${text.padEnd(117)}\n`, 'latin1');
  return Buffer.concat([Buffer.from('\x93NUMPY\x01\x00', 'latin1'), Buffer.from([header.length & 255, header.length >> 8]), header, data]);
}

describe('an array of NumPy', () => {
  it('is read with its shape and type', () => {
    expect(parseNpy(npy('|u1', '(2, 3)', Uint8Array.of(1, 2, 3, 4, 5, 6)))).toEqual({ shape: [2, 3], data: Uint8Array.of(1, 2, 3, 4, 5, 6) });
    const wide = parseNpy(npy('<i8', '(2,)', new Uint8Array(BigInt64Array.of(7n, -1n).buffer)));
    expect(wide).toEqual({ shape: [2], data: BigInt64Array.of(7n, -1n) });
  });

  it('is refused when it is cut off, in Fortran order, of another type or no array at all', () => {
    expect(() => parseNpy(npy('|u1', '(4,)', Uint8Array.of(1, 2)))).toThrow('is cut off');
    expect(() => parseNpy(npy('|u1', '(2,)', Uint8Array.of(1, 2), 'True'))).toThrow('Fortran order');
    expect(() => parseNpy(npy('|O', '(1,)', Uint8Array.of(1)))).toThrow('not read');
    expect(() => parseNpy(Buffer.from('something else'))).toThrow('npy format');
  });
});

describe('a CSV text', () => {
  it('is read with quotes, commas in quotes and both line ends', () => {
    expect(parseCsv('\ufeffa,"b,c"\r\n1,"x ""y"", z"\n\n2,')).toEqual([{ 'a': '1', 'b,c': 'x "y", z' }, { 'a': '2', 'b,c': '' }]);
  });
});
