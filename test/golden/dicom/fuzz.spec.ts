import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { deflateRawSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { dicomFile, encapsulated, imagePixel, withElements, type Element } from '../../support/dicom-builder.js';
import { AppError } from '../../../src/kernel/errors.js';
import { ageYears } from '../../../src/imaging/dicom/attributes.js';
import { frameAttributes } from '../../../src/imaging/dicom/functional-groups.js';
import { parseInstanceBytes } from '../../../src/imaging/dicom/header.js';
import { decodeFrame, frameCount, frameLocation } from '../../../src/imaging/dicom/pixels.js';
import { toDisplay } from '../../../src/imaging/render/window.js';
import { nativeCodec } from '../../../src/platform/threads/codecs.js';

/** No file of a few kilobytes may take this long, not even on a machine with other things to do. */
const MAX_MS = 10_000;

/** Mulberry32: the same seed, the same files. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const here = dirname(fileURLToPath(import.meta.url));
const compressed = JSON.parse(readFileSync(join(here, 'compressed.json'), 'utf8')) as Record<string, string>;

function seeds(): Uint8Array[] {
  const sequences: Element = [0x00081140, 'SQ', [[[0x00081150, 'UI', '1.2'], [0x00081199, 'SQ', [[[0x00080100, 'SH', 'A']]], { undefinedLength: true }]]], { undefinedLength: true }];
  const grey: Element[] = [[0x00080005, 'CS', '\\ISO 2022 IR 87'], sequences, [0x00100010, 'PN', 'A^B=\u001b$B;3\u001b(B'], [0x00101010, 'AS', '050Y'], [0x00281050, 'DS', '40'], [0x00281051, 'DS', '400'], ...imagePixel(4, 4, 16, 12), [0x7fe00010, 'OW', new Uint8Array(32)]];
  const palette: Element[] = [1, 2, 3].flatMap((i): Element[] => [[0x00281100 + i, 'US', [4, 0, 16]], [0x00281200 + i, 'OW', [0, 1, 2, 3]]]);
  return [
    dicomFile(grey),
    dicomFile(grey, { transferSyntax: '1.2.840.10008.1.2' }),
    dicomFile(grey, { transferSyntax: '1.2.840.10008.1.2.2' }),
    dicomFile(grey, { bare: true }),
    dicomFile(grey, { transferSyntax: '1.2.840.10008.1.2.1.99', transform: (bytes) => new Uint8Array(deflateRawSync(bytes)) }),
    dicomFile([...withElements(imagePixel(2, 2), [0x00280004, 'CS', 'PALETTE COLOR']), ...palette, [0x7fe00010, 'OB', Uint8Array.of(0, 1, 2, 3)]]),
    dicomFile([...imagePixel(2, 2), [0x00280008, 'IS', '2'], [0x7fe00010, 'OB', encapsulated([Uint8Array.of(0xff, 0xd8, 0xff), Uint8Array.of(1, 2)], [0, 12]), { undefinedLength: true }]], { transferSyntax: '1.2.840.10008.1.2.5' }),
  ];
}

const EXTREMES = [0, 0xff, 0x7f, 0x80, 0xfe, 0x01];

function mutate(seed: Uint8Array, next: () => number): Uint8Array {
  let bytes = seed.slice();
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

/** Everything that the product does to a file it was sent. */
async function process(file: Uint8Array): Promise<void> {
  const parsed = parseInstanceBytes(file, { inlineBinaryLimit: 1 << 18 });
  JSON.stringify(parsed.attributes);
  ageYears(parsed.attributes);
  const frame = Math.min(frameCount(parsed), 2) - 1;
  const bytes = parsed.inflated ?? file;
  const frameBytes = Buffer.concat(frameLocation(parsed, frame).map(({ offset, length }) => bytes.subarray(offset, offset + length)));
  toDisplay(await decodeFrame(parsed, frameBytes, nativeCodec, frame), frameAttributes(parsed.attributes, frame));
}

async function hammer(files: readonly Uint8Array[], rounds: number, seed: number): Promise<{ slowestMs: number; refused: number }> {
  const next = random(seed);
  let slowestMs = 0;
  let refused = 0;
  for (let round = 0; round < rounds; round++) {
    const file = mutate(files[round % files.length] ?? new Uint8Array(0), next);
    const started = performance.now();
    try {
      await process(file);
    } catch (error) {
      if (!(error instanceof AppError)) throw new Error(`Round ${String(round)} of seed ${String(seed)} threw ${String(error)}`, { cause: error });
      refused++;
    }
    slowestMs = Math.max(slowestMs, performance.now() - started);
  }
  return { slowestMs, refused };
}

describe('A damaged file', () => {
  it('is read or refused with a code, and quickly, whatever is wrong with its header', async () => {
    const files = seeds();
    for (const file of files) await process(file).catch((error: unknown) => { expect(error).toBeInstanceOf(AppError); });
    const { slowestMs, refused } = await hammer(files, 4000, 1);
    expect(refused).toBeGreaterThan(500);
    expect(refused).toBeLessThan(3900);
    expect(slowestMs).toBeLessThan(MAX_MS);
  });

  it('is decoded or refused with a code, and quickly, whatever is wrong with its pixels', async () => {
    const files = Object.values(compressed).map((base64) => new Uint8Array(Buffer.from(base64, 'base64')));
    const { slowestMs, refused } = await hammer(files, 3000, 2);
    expect(refused).toBeGreaterThan(300);
    expect(slowestMs).toBeLessThan(MAX_MS);
  });
});
