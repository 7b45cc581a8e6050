import type { Manifest } from '../../imaging/model/manifest.js';
import type { Dataset } from './dataset.js';

/** How well a set of X-rays suits a model, 0–1: the share of its labels that are there and also missing somewhere, times the share of the images whose age is in its range; an unknown age is. */
export function suitability({ samples }: Pick<Dataset, 'samples'>, { domain: { ageYears }, labels }: Pick<Manifest, 'domain' | 'labels'>): number {
  if (samples.length === 0) return 0;
  const measurable = labels.filter((label) => samples.some(({ shows }) => shows(label)) && samples.some(({ shows }) => !shows(label)));
  const ofAge = samples.filter(({ ageYears: age }) => age === undefined || ageYears === undefined || (age >= ageYears.min && age <= ageYears.max));
  return (measurable.length / labels.length) * (ofAge.length / samples.length);
}
