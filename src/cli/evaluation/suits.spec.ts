import { describe, expect, it } from 'vitest';
import type { Manifest } from '../../imaging/model/manifest.js';
import type { Sample } from './dataset.js';
import { suitability } from './suits.js';

const label = (index: number, name: string): Manifest['labels'][number] => ({ index, name, threshold: 0.5, enabled: true, critical: false, code: { system: 'SNOMED-CT', value: '1', meaning: name } });
const children = { domain: { modalities: ['DX'], bodyParts: ['CHEST'], ageYears: { min: 1, max: 5 } }, labels: [label(0, 'Pneumonia')] } as unknown as Manifest;
const adults = { domain: { modalities: ['DX'], bodyParts: ['CHEST'], ageYears: { min: 18, max: 120 } }, labels: [label(0, 'Mass'), label(1, 'Pneumonia'), label(2, 'Hernia'), label(3, 'Nodule')] } as unknown as Manifest;
const sample = (names: readonly string[], ageYears?: number): Sample => ({ name: 'x', ...(ageYears !== undefined && { ageYears }), image: { file: 'x.png' }, shows: ({ name }) => names.includes(name) });

describe('the model that a set of X-rays suits', () => {
  it('is the one whose labels the set can measure', () => {
    const samples = [sample(['Pneumonia']), sample([])];
    expect([suitability({ samples }, children), suitability({ samples }, adults)]).toEqual([1, 0.25]);
  });

  it('is the one made for patients of that age', () => {
    const samples = [sample(['Pneumonia', 'Mass'], 60), sample(['Nodule'], 50), sample([], 4)];
    expect(suitability({ samples }, children)).toBeCloseTo(1 / 3);
    expect(suitability({ samples }, adults)).toBeCloseTo((3 / 4) * (2 / 3));
  });

  it('is none where everybody has everything, or nobody is there', () => {
    expect(suitability({ samples: [sample(['Pneumonia'])] }, children)).toBe(0);
    expect(suitability({ samples: [] }, children)).toBe(0);
  });
});
