import { describe, expect, it } from 'vitest';
import { highestOf, lungRadsOf } from './lung-rads.js';

describe('lungRadsOf', () => {
  it('grades solid nodules by their mean diameter', () => {
    expect([5.9, 6, 7.9, 8, 14.9, 15].map((diameterMm) => lungRadsOf({ attenuation: 'solid', diameterMm }))).toEqual(['2', '3', '3', '4A', '4A', '4B']);
  });

  it('grades part-solid nodules by their solid part', () => {
    const graded = (diameterMm: number, solidDiameterMm: number): string => lungRadsOf({ attenuation: 'part-solid', diameterMm, solidDiameterMm });
    expect([graded(5.9, 5), graded(6, 5.9), graded(12, 6), graded(12, 7.9), graded(12, 8)]).toEqual(['2', '3', '4A', '4A', '4B']);
  });

  it('grades ground glass from 30 mm on', () => {
    expect([4, 29.9, 30, 60].map((diameterMm) => lungRadsOf({ attenuation: 'ground-glass', diameterMm }))).toEqual(['2', '2', '3', '3']);
  });

  it('gives a study its highest category, and 1 without a nodule', () => {
    expect(highestOf(['2', '4A', '3'])).toBe('4A');
    expect(highestOf([])).toBe('1');
  });
});
