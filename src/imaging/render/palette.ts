import { AppError } from '../../kernel/errors.js';
import { binary } from '../dicom/attributes.js';
import type { DicomJson } from '../dicom/dicom-json.js';
import type { PixelFrame } from '../dicom/pixels.js';
import { lookUp, readDescriptor, readLookupTable, words, type LookupTable } from './lookup-table.js';

/**
 * Expands palette indices to RGB, 8 bits a channel.
 *
 * @throws AppError `invalid-dicom` when a palette is missing or does not fit its descriptor
 * @see PS3.3 C.7.6.3.1.5, C.7.9.2 for segmented palettes
 */
export function expandPalette(frame: PixelFrame, attributes: DicomJson): Uint8Array {
  const palettes = (['Red', 'Green', 'Blue'] as const).map((colour) => readPalette(attributes, colour, frame.signed));
  // Some writers declare 16 bits and fill 8.
  const shift = palettes.some((palette) => palette.bits > 8 && palette.entries.some((entry) => entry > 255)) ? 8 : 0;
  const out = new Uint8Array(frame.pixels.length * 3);
  for (const [channel, palette] of palettes.entries()) {
    for (let i = 0, to = channel; i < frame.pixels.length; i++, to += 3) out[to] = lookUp(palette, frame.pixels[i] ?? 0) >> shift;
  }
  return out;
}

function readPalette(attributes: DicomJson, colour: 'Red' | 'Green' | 'Blue', signed: boolean): LookupTable {
  const descriptor = `${colour}PaletteColorLookupTableDescriptor`;
  const segmented = binary(attributes, `Segmented${colour}PaletteColorLookupTableData`);
  if (segmented === undefined) return readLookupTable(attributes, descriptor, `${colour}PaletteColorLookupTableData`, signed);
  const { count, first, bits } = readDescriptor(attributes, descriptor, signed);
  return { first, bits, entries: expandSegments(bits > 8 ? words(segmented) : Uint16Array.from(segmented), count, bits > 8 ? 2 : 1) };
}

/** Segments: 0 discrete, 1 linear, 2 indirect (a copy of earlier segments). @see PS3.3 C.7.9.2.2 */
function expandSegments(data: Uint16Array, count: number, unitBytes: 1 | 2): Uint16Array {
  const out = new Uint16Array(count);
  let filled = 0;
  const push = (value: number): void => {
    if (filled >= count) throw invalid();
    out[filled++] = value;
  };
  const expand = (from: number, segments: number, indirectAllowed: boolean): void => {
    let at = from;
    for (let done = 0; done < segments && at + 1 < data.length; done++) {
      const opcode = data[at] ?? 0;
      const length = data[at + 1] ?? 0;
      at += 2;
      if (opcode === 0) {
        for (let i = 0; i < length; i++) push(data[at + i] ?? 0);
        at += length;
      } else if (opcode === 1) {
        const start = out[filled - 1] ?? 0;
        const end = data[at] ?? 0;
        for (let i = 1; i <= length; i++) push(Math.round(start + ((end - start) * i) / length));
        at += 1;
      } else if (opcode === 2 && indirectAllowed) {
        // Four bytes in as many units as it takes, least significant first; the offset counts bytes.
        const units = 4 / unitBytes;
        let offset = 0;
        for (let i = 0; i < units; i++) offset += (data[at + i] ?? 0) * 2 ** (8 * unitBytes * i);
        expand(offset / unitBytes, length, false);
        at += units;
      } else {
        throw invalid();
      }
    }
  };
  expand(0, Number.POSITIVE_INFINITY, true);
  if (filled < count) throw invalid();
  return out;
}

function invalid(): AppError {
  return new AppError('invalid-dicom', { detail: 'A segmented palette is damaged' });
}
