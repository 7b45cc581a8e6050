import { deflateRawSync, inflateRawSync } from 'node:zlib';
import type { Segmentation } from '../analyses/analysis.js';

/** A label map as it is stored: each slice that is not empty on its own, so that a viewer reads one without the others. */
export interface PackedSegmentation extends Omit<Segmentation, 'labels'> {
  /** By slice; those that are missing are background. Offsets and lengths in `packed`. */
  slices: { slice: number; offset: number; length: number }[];
  /** RFC 1951. */
  packed: Uint8Array<ArrayBuffer>;
}

/** Of hundreds of megabytes a fraction of one is left. For a thread: it computes for a while. */
export function packLabels({ labels, ...about }: Segmentation): PackedSegmentation {
  const [columns, rows, count] = about.grid.size;
  const area = columns * rows;
  const slices: PackedSegmentation['slices'] = [];
  const parts: Uint8Array[] = [];
  let offset = 0;
  for (let slice = 0; slice < count; slice++) {
    const plane = labels.subarray(slice * area, (slice + 1) * area);
    if (!plane.some((label) => label !== 0)) continue;
    const part = deflateRawSync(plane);
    slices.push({ slice, offset, length: part.length });
    parts.push(part);
    offset += part.length;
  }
  const packed = new Uint8Array(offset);
  for (const [index, part] of parts.entries()) packed.set(part, slices[index]?.offset);
  return { ...about, slices, packed };
}

/** The other way round: `[z, y, x]`. @throws RangeError as `unpackSlice` */
export function unpackLabels({ slices, packed, ...about }: PackedSegmentation): Segmentation {
  const [columns, rows, count] = about.grid.size;
  const labels = new Uint8Array(columns * rows * count);
  for (const { slice } of slices) labels.set(unpackSlice({ slices, grid: about.grid, packed }, slice) ?? [], slice * columns * rows);
  return { ...about, labels };
}

/** Labels `[row, column]` of one slice; undefined where all is background. @throws RangeError for bytes that are no slice of this size */
export function unpackSlice({ slices, grid, packed }: Pick<PackedSegmentation, 'slices' | 'grid' | 'packed'>, slice: number): Uint8Array | undefined {
  const [columns, rows] = grid.size;
  const entry = slices.find((one) => one.slice === slice);
  if (entry === undefined) return undefined;
  const plane = inflateRawSync(packed.subarray(entry.offset, entry.offset + entry.length), { maxOutputLength: columns * rows });
  if (plane.length !== columns * rows) throw new RangeError('The label map is not of the size that it should be');
  return plane;
}
