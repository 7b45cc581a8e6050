import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { deflateRawSync } from 'node:zlib';
import { dicomFile, encapsulated, imagePixel, withElements, type Element } from '../support/dicom-builder.js';

/** Numbers of [0, 1); see `randomOf`. */
export type Random = () => number;

const golden = join(dirname(fileURLToPath(import.meta.url)), '..', 'golden', 'dicom', 'compressed.json');

/**
 * One small file of every encoding of the data set, with sequences, character sets and palettes.
 *
 * @param uids  elements that take the place of the builder's UIDs
 */
export function headerSeeds(uids: readonly Element[] = []): Uint8Array[] {
  const sequences: Element = [0x00081140, 'SQ', [[[0x00081150, 'UI', '1.2'], [0x00081199, 'SQ', [[[0x00080100, 'SH', 'A']]], { undefinedLength: true }]]], { undefinedLength: true }];
  const grey: Element[] = [[0x00080005, 'CS', '\\ISO 2022 IR 87'], sequences, [0x00100010, 'PN', 'A^B=\u001b$B;3\u001b(B'], [0x00101010, 'AS', '050Y'], [0x00281050, 'DS', '40'], [0x00281051, 'DS', '400'], ...imagePixel(4, 4, 16, 12), [0x7fe00010, 'OW', new Uint8Array(32)]];
  const palette: Element[] = [1, 2, 3].flatMap((i): Element[] => [[0x00281100 + i, 'US', [4, 0, 16]], [0x00281200 + i, 'OW', [0, 1, 2, 3]]]);
  return [
    dicomFile([...uids, ...grey]),
    dicomFile([...uids, ...grey], { transferSyntax: '1.2.840.10008.1.2' }),
    dicomFile([...uids, ...grey], { transferSyntax: '1.2.840.10008.1.2.2' }),
    dicomFile([...uids, ...grey], { bare: true }),
    dicomFile([...uids, ...grey], { transferSyntax: '1.2.840.10008.1.2.1.99', transform: (bytes) => new Uint8Array(deflateRawSync(bytes)) }),
    dicomFile([...uids, ...withElements(imagePixel(2, 2), [0x00280004, 'CS', 'PALETTE COLOR']), ...palette, [0x7fe00010, 'OB', Uint8Array.of(0, 1, 2, 3)]]),
    dicomFile([...uids, ...imagePixel(2, 2), [0x00280008, 'IS', '2'], [0x7fe00010, 'OB', encapsulated([Uint8Array.of(0xff, 0xd8, 0xff), Uint8Array.of(1, 2)], [0, 12]), { undefinedLength: true }]], { transferSyntax: '1.2.840.10008.1.2.5' }),
  ];
}

/** Small images of every codec. */
export function compressedSeeds(): Uint8Array[] {
  const files = JSON.parse(readFileSync(golden, 'utf8')) as Record<string, string>; // base64 by name
  return Object.values(files).map((base64) => new Uint8Array(Buffer.from(base64, 'base64')));
}

const EXTREMES = [0, 0xff, 0x7f, 0x80, 0xfe, 0x01];

/** One to four bytes or stretches changed, cut off, doubled or left out. */
export function mutate(seed: Uint8Array, next: Random): Uint8Array {
  let bytes = Uint8Array.from(seed);
  const at = (): number => Math.floor(next() * bytes.length);
  for (let changes = 1 + Math.floor(next() * 4); changes > 0; changes--) {
    const position = at();
    switch (Math.floor(next() * 5)) {
      case 0:
        bytes[position] = Math.floor(next() * 256);
        break;
      case 1:
        bytes.fill(EXTREMES[Math.floor(next() * EXTREMES.length)] ?? 0, position, position + 1 + Math.floor(next() * 4));
        break;
      case 2:
        bytes = bytes.slice(0, Math.max(position, 1));
        break;
      case 3:
        bytes = new Uint8Array(Buffer.concat([bytes.subarray(0, position), bytes.subarray(at(), at() + 16), bytes.subarray(position)]));
        break;
      default:
        bytes = new Uint8Array(Buffer.concat([bytes.subarray(0, position), bytes.subarray(position + 1 + Math.floor(next() * 8))]));
    }
    if (bytes.length === 0) return bytes;
  }
  return bytes;
}

/** A few bytes changed where they stand: most such files can still be stored, so what reads them has something to do. */
export function mutateInPlace(seed: Uint8Array, next: Random): Uint8Array {
  const bytes = seed.slice();
  for (let changes = 1 + Math.floor(next() * 6); changes > 0; changes--) {
    const position = Math.floor(next() * bytes.length);
    bytes[position] = next() < 0.5 ? Math.floor(next() * 256) : (bytes[position] ?? 0) ^ (1 << Math.floor(next() * 8));
  }
  return bytes;
}

const REPRESENTATIONS = ['AE', 'AS', 'AT', 'CS', 'DA', 'DS', 'DT', 'FD', 'FL', 'IS', 'LO', 'LT', 'OB', 'OD', 'OF', 'OL', 'OV', 'OW', 'PN', 'SH', 'SL', 'SQ', 'SS', 'ST', 'SV', 'TM', 'UC', 'UI', 'UL', 'UN', 'UR', 'US', 'UT', 'UV'];
const LENGTHS = [0, 1, 2, 0x7fff, 0xfffe, 0xffff];

/** An explicit element gets another representation or a length that is not its own: what random bytes rarely hit. */
export function mutateElement(seed: Uint8Array, next: Random): Uint8Array {
  const bytes = Buffer.from(seed);
  const known = new Set(REPRESENTATIONS);
  const places: number[] = [];
  for (let at = 132; at + 8 <= bytes.length; at += 2) if (known.has(bytes.toString('latin1', at + 4, at + 6))) places.push(at);
  const place = places[Math.floor(next() * places.length)];
  if (place === undefined) return mutate(seed, next);
  if (next() < 0.5) bytes.write(REPRESENTATIONS[Math.floor(next() * REPRESENTATIONS.length)] ?? 'UN', place + 4, 'latin1');
  else bytes.writeUInt16LE(LENGTHS[Math.floor(next() * LENGTHS.length)] ?? 0, place + 6);
  return next() < 0.3 ? mutate(bytes, next) : new Uint8Array(bytes);
}
