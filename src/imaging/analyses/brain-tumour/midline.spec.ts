import { describe, expect, it } from 'vitest';
import { midlineShift, type MidlineInput } from './midline.js';

const SIZE = [160, 190, 120] as const;

/** An ellipsoid with two ventricles and a third one between them, moved to the left by `shift` where they are; noise from a counter. */
function brain(shift: number, options: { tumourInStrip?: boolean; flat?: boolean } = {}): MidlineInput {
  const voxels = new Float32Array(SIZE[0] * SIZE[1] * SIZE[2]);
  const mask = new Uint8Array(voxels.length);
  const tumour = new Uint8Array(voxels.length);
  for (let k = 0, at = 0; k < SIZE[2]; k++) {
    for (let j = 0; j < SIZE[1]; j++) {
      for (let i = 0; i < SIZE[0]; i++, at++) {
        const [x, y, z] = [i - 79.5, j - 94.5, k - 59.5];
        if ((x / 68) ** 2 + (y / 85) ** 2 + (z / 58) ** 2 > 1) continue;
        mask[at] = 1;
        voxels[at] = 100 + ((at * 7919) % 13);
        if (options.flat === true) voxels[at] = 100 + (Math.imul(at, 0x9e3779b1) >>> 24);
        else {
          const side = Math.abs(x - shift);
          if (((side - 8) / 5) ** 2 + (y / 25) ** 2 + ((z - 8) / 12) ** 2 <= 1) voxels[at] = 20;
          if (side < 2 && Math.abs(y) < 12 && z > -20 && z < 0) voxels[at] = 25;
        }
        if (options.tumourInStrip === true && Math.abs(x) < 30) tumour[at] = 2;
      }
    }
  }
  return { size: SIZE, spacingMm: [1, 1, 1], voxels, brain: mask, tumour };
}

describe('midlineShift', () => {
  it.each([[0, 'neither', false], [3, 'left', false], [7, 'left', true], [-9, 'right', true]])('measures ventricles that are %i mm aside', (shift, towards, shifted) => {
    const found = midlineShift(brain(shift));
    expect(found).toMatchObject({ status: 'measured', towards, shifted });
    expect(found.status === 'measured' && Math.abs(found.shiftMm - Math.abs(shift))).toBeLessThanOrEqual(1);
  });

  it('says why it cannot be measured', () => {
    expect(midlineShift(brain(0, { tumourInStrip: true }))).toMatchObject({ status: 'not-measurable', reason: expect.stringContaining('free of tumour') as string });
    expect(midlineShift(brain(0, { flat: true }))).toMatchObject({ status: 'not-measurable', reason: expect.stringContaining('mirror image') as string });
    expect(midlineShift({ ...brain(0), brain: new Uint8Array(SIZE[0] * SIZE[1] * SIZE[2]) })).toMatchObject({ status: 'not-measurable' });
  });
});
