import { describe, expect, it } from 'vitest';
import { compressedSeeds, headerSeeds, mutate } from '../../fuzz/mutations.js';
import { randomOf } from '../../support/random.mjs';
import { AppError } from '../../../src/kernel/errors.js';
import { ageYears } from '../../../src/imaging/dicom/attributes.js';
import { frameAttributes } from '../../../src/imaging/dicom/functional-groups.js';
import { parseInstanceBytes } from '../../../src/imaging/dicom/header.js';
import { decodeFrame, frameCount, frameLocation } from '../../../src/imaging/dicom/pixels.js';
import { toDisplay } from '../../../src/imaging/render/window.js';
import { nativeCodec } from '../../../src/platform/threads/codecs.js';

/** No file of a few kilobytes may take this long, not even on a machine with other things to do. */
const MAX_MS = 10_000;

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
  const next = randomOf(seed);
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
    const files = headerSeeds();
    for (const file of files) await process(file).catch((error: unknown) => { expect(error).toBeInstanceOf(AppError); });
    const { slowestMs, refused } = await hammer(files, 4000, 1);
    expect(refused).toBeGreaterThan(500);
    expect(refused).toBeLessThan(3900);
    expect(slowestMs).toBeLessThan(MAX_MS);
  });

  it('is decoded or refused with a code, and quickly, whatever is wrong with its pixels', async () => {
    const { slowestMs, refused } = await hammer(compressedSeeds(), 3000, 2);
    expect(refused).toBeGreaterThan(300);
    expect(slowestMs).toBeLessThan(MAX_MS);
  });
});
