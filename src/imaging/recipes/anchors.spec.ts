import { expect, it } from 'vitest';
import { anchorAt, decodeBox, levelOf } from './anchors.js';

const plain = { weights: [1, 1, 1, 1, 1, 1] as const, maxLogScale: Math.log(1000 / 16) };

it('lays anchors round the middle of each place', () => {
  const level = levelOf([32, 32, 16], [8, 8, 8], [[6, 8, 4]], 2);
  expect(level.stride).toEqual([4, 4, 2]);
  expect(anchorAt(level, 0, [1, 0, 7])).toEqual([0, -6, 11, 12, 10, 19]);
});

it('leaves an anchor as it is where the network says nothing', () => {
  expect(decodeBox([0, 0, 0, 0, 0, 0], [2, 4, 6, 8, 10, 12], plain)).toEqual([2, 4, 6, 8, 10, 12]);
});

it('moves by anchor sizes and scales by exponentials, each divided by its weight', () => {
  const box = decodeBox([1, 0, 0, 2 * Math.log(2), 0, 0], [0, 0, 0, 4, 4, 4], { ...plain, weights: [2, 1, 1, 2, 1, 1] });
  expect(box.map((value) => Math.round(value * 1e9) / 1e9)).toEqual([0, 0, 0, 8, 4, 4]);
});

it('holds a size that explodes', () => {
  const box = decodeBox([0, 0, 0, 500, 0, 0], [-8, 0, 0, 8, 1, 1], plain);
  expect(box[3] - box[0]).toBeCloseTo(1000, 6);
});
