import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { readNifti as read, type NiftiVolume } from '../../src/imaging/volume/nifti.js';

/** A NIfTI-1 file, plain or gzipped. */
export function readNifti(path: string): NiftiVolume {
  const raw = readFileSync(path);
  return read(raw[0] === 0x1f && raw[1] === 0x8b ? gunzipSync(raw) : raw);
}
