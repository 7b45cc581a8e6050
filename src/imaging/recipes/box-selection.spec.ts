import { describe, expect, it } from 'vitest';
import type { Box } from './anchors.js';
import { best, clipBox, overlapOf, suppress } from './box-selection.js';

const cube = (from: number, side: number): Box => [from, from, from, from + side, from + side, from + side];
const scored = (box: Box, score: number, kind = 0): { box: Box; score: number; class: number } => ({ box, score, class: kind });

it('measures overlap as intersection over union', () => {
  expect(overlapOf(cube(0, 2), cube(0, 2))).toBe(1);
  expect(overlapOf(cube(0, 2), cube(1, 2))).toBeCloseTo(1 / 15, 9);
  expect(overlapOf(cube(0, 2), cube(2, 2))).toBe(0);
});

it('clips boxes to the image and drops what is thinner than a step', () => {
  expect(clipBox([-3, 1, 2, 4, 9, 5], [8, 8, 8])).toEqual([0, 1, 2, 4, 8, 5]);
  expect(clipBox([7.5, 0, 0, 12, 4, 4], [8, 8, 8])).toBeNull();
  expect(clipBox([9, 0, 0, 12, 4, 4], [8, 8, 8])).toBeNull();
});

describe('suppression', () => {
  it('keeps the better of two that overlap and all that stand alone', () => {
    const boxes = [scored(cube(0, 10), 0.5), scored(cube(1, 10), 0.9), scored(cube(30, 4), 0.1)];
    expect(suppress(boxes, 0.22).map(({ score }) => score)).toEqual([0.9, 0.1]);
  });

  it('leaves classes alone, stops at the limit, and keeps what overlaps exactly as much as allowed', () => {
    expect(suppress([scored(cube(0, 10), 0.5), scored(cube(0, 10), 0.9, 1)], 0.22)).toHaveLength(2);
    expect(suppress([scored(cube(0, 2), 0.5), scored(cube(9, 2), 0.9)], 0.22, 1).map(({ score }) => score)).toEqual([0.9]);
    const half: Box = [0, 0, 0, 1, 2, 2];
    expect(suppress([scored(cube(0, 2), 0.9), scored(half, 0.5)], 0.5)).toHaveLength(2);
    expect(suppress([], 0.22)).toEqual([]);
  });
});

it('holds the best of many, and of equals the first', () => {
  const list = best<{ score: number; n: number }>(3);
  for (let n = 0; n < 100; n++) list.add({ score: n % 10, n });
  expect(list.list().map(({ n }) => n)).toEqual([9, 19, 29]);
});
