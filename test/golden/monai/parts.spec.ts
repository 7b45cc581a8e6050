import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { anchorAt, decodeBox, levelOf, type Box } from '../../../src/imaging/recipes/anchors.js';
import { clipBox, suppress } from '../../../src/imaging/recipes/box-selection.js';
import type { Vector3 } from '../../../src/imaging/volume/volume.js';
import { importanceMap, planWindows, windowStarts } from '../../../src/imaging/volume/windows.js';

type Six = [number, number, number, number, number, number];
type Three = [number, number, number];

/** What MONAI's own functions gave: generate.py. */
const golden = JSON.parse(readFileSync(join(import.meta.dirname, 'parts.json'), 'utf8')) as {
  windows: { image: Three; roi: Three; overlap: number; starts: number[][]; count: number }[];
  importance: { size: Three; sigmaScale: number; values: number[] }[];
  anchors: { image: Three; grids: Three[]; count: number; picks: number[]; values: Six[] };
  coder: { weights: Six; codes: Six[]; boxes: Six[]; clipped: Six[]; keep: boolean[] };
  nms: { boxes: Six[]; scores: number[]; labels: number[]; iou: number; kept: Record<string, number[]> };
};
const { maxLogScale, shapes } = { maxLogScale: Math.log(1000 / 16), shapes: [[6, 8, 4], [8, 6, 5], [10, 10, 6]] as Vector3[] };

/** All anchors in MONAI's order: level, x, y, z, shape. */
function allAnchors(): Box[] {
  return golden.anchors.grids.flatMap((grid, i) => {
    const level = levelOf(golden.anchors.image, grid, shapes, 2 ** i);
    const boxes: Box[] = [];
    for (let x = 0; x < grid[0]; x++) for (let y = 0; y < grid[1]; y++) for (let z = 0; z < grid[2]; z++) for (let a = 0; a < shapes.length; a++) boxes.push(anchorAt(level, a, [x, y, z]));
    return boxes;
  });
}

const close = (found: readonly number[], expected: readonly number[], tolerance: number): void => {
  expect(found).toHaveLength(expected.length);
  for (const [i, value] of expected.entries()) expect(Math.abs((found[i] ?? NaN) - value)).toBeLessThanOrEqual(tolerance);
};

describe('the parts give what MONAI gives', () => {
  it.each(golden.windows)('windows of $roi over $image with overlap $overlap', ({ image, roi, overlap, starts, count }) => {
    const plan = planWindows(image, roi, overlap);
    expect(plan.starts.map((along) => [...new Set(along)])).toEqual(starts);
    expect(windowStarts(plan)).toHaveLength(count);
  });

  it.each(golden.importance)('Gaussian importance of a window of $size, σ $sigmaScale', ({ size, sigmaScale, values }) => {
    close([...importanceMap(size, { blending: 'gaussian', sigmaScale })], values, 1e-6);
  });

  it('anchors, whose odd sides lose a step to rounding', () => {
    const anchors = allAnchors();
    expect(anchors).toHaveLength(golden.anchors.count);
    expect(golden.anchors.picks.map((pick) => anchors[pick])).toEqual(golden.anchors.values);
  });

  it('decoded boxes, with weights and the largest scale, clipped to the image', () => {
    const anchors = allAnchors();
    const boxes = golden.coder.codes.map((code, i) => {
      const anchor = anchors[golden.anchors.picks[i] ?? -1];
      if (!anchor) throw new Error('no anchor');
      return decodeBox(code, anchor, { weights: golden.coder.weights, maxLogScale });
    });
    for (const [i, box] of boxes.entries()) close(box, golden.coder.boxes[i] ?? [], 2e-3);
    const clipped = boxes.map((box) => clipBox(box, golden.anchors.image));
    expect(clipped.map((box) => box !== null)).toEqual(golden.coder.keep);
    for (const [i, box] of clipped.filter((box) => box !== null).entries()) close(box, golden.coder.clipped[i] ?? [], 2e-3);
  });

  it.each(Object.entries(golden.nms.kept))('suppression by class, with equal scores, at most %s', (limit, kept) => {
    const boxes = golden.nms.boxes.map((box, index) => ({ box, index, score: golden.nms.scores[index] ?? 0, class: golden.nms.labels[index] ?? 0 }));
    expect(suppress(boxes, golden.nms.iou, Number(limit) < 0 ? undefined : Number(limit)).map(({ index }) => index)).toEqual(kept);
  });
});
