import type { DicomJson } from '../dicom-json.js';
import type { PixelDescription } from '../pixel-description.js';
import type { PixelFrame } from '../pixels.js';
import type { Rectangle } from './burned-in-templates.js';

/** What of every frame becomes black: `black`, and all that is not in `keep` where that is given. */
export interface BlackOut {
  keep?: readonly Rectangle[];
  black: readonly Rectangle[];
}

type Run = readonly [from: number, to: number];

/** The columns of one row that become black, `[from, to)`, ascending, apart from each other. */
export function blackRuns({ keep, black }: BlackOut, row: number, columns: number): Run[] {
  const covered = (rectangles: readonly Rectangle[]): Run[] =>
    merged(rectangles.filter(({ y, height }) => row >= y && row < y + height).map(({ x, width }) => [Math.max(0, x), Math.min(columns, x + width)] as const));
  const runs = covered(black);
  if (keep === undefined) return runs;
  const outside: Run[] = [];
  let at = 0;
  for (const [from, to] of covered(keep)) {
    outside.push([at, from]);
    at = to;
  }
  return merged([...runs, ...outside, [at, columns]]);
}

function merged(runs: readonly Run[]): Run[] {
  const out: [number, number][] = [];
  for (const [from, to] of runs.filter((run) => run[1] > run[0]).sort((a, b) => a[0] - b[0])) {
    const last = out.at(-1);
    if (last !== undefined && from <= last[1]) last[1] = Math.max(last[1], to);
    else out.push([from, to]);
  }
  return out;
}

/** Makes an area of one decoded frame black, in place. */
export function blackOutFrame(frame: PixelFrame, area: BlackOut): void {
  const { rows, columns, samplesPerPixel, pixels, photometric, bitsStored, signed } = frame;
  const value = blackOf(photometric, bitsStored, signed);
  for (let row = 0; row < rows; row++) {
    for (const [from, to] of blackRuns(area, row, columns)) {
      const start = row * columns;
      pixels.fill(value, (start + from) * samplesPerPixel, (start + to) * samplesPerPixel);
    }
  }
}

/**
 * Makes an area of native pixel data black as they pass by, a stretch at a time, in place. Little endian, whole bytes per sample.
 *
 * @returns a function of a stretch and of where it begins in the pixel data
 */
export function nativePainter(description: PixelDescription, area: BlackOut): (stretch: Uint8Array, offset: number) => void {
  const { rows, columns, samplesPerPixel, bitsAllocated, bitsStored, highBit, signed, photometric, planar } = description;
  const sampleBytes = bitsAllocated / 8;
  const byPlane = planar === 1 && samplesPerPixel > 1;
  const pixelBytes = byPlane ? sampleBytes : samplesPerPixel * sampleBytes;
  const rowBytes = columns * pixelBytes;
  const runsOf = Array.from({ length: rows }, (_, row) => blackRuns(area, row, columns));
  const black = Array.from({ length: samplesPerPixel }, (_, sample) => sampleOf(blackOf(photometric, bitsStored, signed, sample) * 2 ** (highBit + 1 - bitsStored), sampleBytes));
  const whole = Uint8Array.from(black.flatMap((bytes) => [...bytes]));
  return (stretch, offset) => {
    const end = offset + stretch.length;
    for (let line = Math.floor(offset / rowBytes); line * rowBytes < end; line++) {
      const pattern = byPlane ? (black[Math.floor(line / rows) % samplesPerPixel] ?? whole) : whole;
      for (const [from, to] of runsOf[line % rows] ?? []) {
        const start = line * rowBytes + from * pixelBytes;
        const first = Math.max(start, offset);
        const last = Math.min(line * rowBytes + to * pixelBytes, end);
        for (let at = first; at < last; at++) stretch[at - offset] = pattern[(at - start) % pattern.length] ?? 0;
      }
    }
  };
}

/** The darkest value there is. */
function blackOf(photometric: string, bitsStored: number, signed: boolean, sample = 0): number {
  // Luminance none, chrominance none, which is half of the range.
  if (photometric.startsWith('YBR')) return sample === 0 ? 0 : 2 ** (bitsStored - 1);
  if (photometric === 'MONOCHROME1') return signed ? 2 ** (bitsStored - 1) - 1 : 2 ** bitsStored - 1;
  return signed && photometric === 'MONOCHROME2' ? -(2 ** (bitsStored - 1)) : 0;
}

function sampleOf(value: number, bytes: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(4));
  view.setInt32(0, value | 0, true);
  return new Uint8Array(view.buffer).slice(0, bytes);
}

/** What the Image Pixel module says of frames that were decoded. */
export function decodedImagePixel({ samplesPerPixel, photometric, pixels, bitsStored, signed }: PixelFrame): DicomJson {
  const us = (value: number): DicomJson[string] => ({ vr: 'US', Value: [value] });
  return {
    '00280002': us(samplesPerPixel),
    '00280004': { vr: 'CS', Value: [photometric] },
    ...(samplesPerPixel === 3 ? { '00280006': us(0) } : {}),
    '00280100': us(pixels.BYTES_PER_ELEMENT * 8),
    '00280101': us(bitsStored),
    '00280102': us(bitsStored - 1),
    '00280103': us(signed ? 1 : 0),
  };
}
