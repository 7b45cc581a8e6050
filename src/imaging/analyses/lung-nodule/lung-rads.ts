import type { Attenuation } from './measure.js';

/** 4X needs a reader: spiculation, lymph nodes, growth. */
export const LUNG_RADS_CATEGORIES = ['1', '2', '3', '4A', '4B'] as const;
export type LungRadsCategory = (typeof LUNG_RADS_CATEGORIES)[number];

interface Rule {
  attenuation: Attenuation;
  /** Mean diameter of the nodule, mm. */
  fromMm: number;
  /** Mean diameter of the solid part, mm. */
  solidFromMm?: number;
  category: LungRadsCategory;
}

/**
 * Baseline screening, by size and kind alone; for each kind from the highest category down.
 *
 * @see American College of Radiology, Lung-RADS v2022 (November 2022), https://www.acr.org/Clinical-Resources/Clinical-Tools-and-Reference/Reporting-and-Data-Systems/Lung-RADS
 */
const BASELINE: readonly Rule[] = [
  { attenuation: 'solid', fromMm: 15, category: '4B' },
  { attenuation: 'solid', fromMm: 8, category: '4A' },
  { attenuation: 'solid', fromMm: 6, category: '3' },
  { attenuation: 'solid', fromMm: 0, category: '2' },
  { attenuation: 'part-solid', fromMm: 6, solidFromMm: 8, category: '4B' },
  { attenuation: 'part-solid', fromMm: 6, solidFromMm: 6, category: '4A' },
  { attenuation: 'part-solid', fromMm: 6, category: '3' },
  { attenuation: 'part-solid', fromMm: 0, category: '2' },
  { attenuation: 'ground-glass', fromMm: 30, category: '3' },
  { attenuation: 'ground-glass', fromMm: 0, category: '2' },
];

/** The category that size and kind suggest for a nodule of a first screening. Diameters are means of long and short axis, to one decimal. */
export function lungRadsOf(nodule: { attenuation: Attenuation; diameterMm: number; solidDiameterMm?: number }): LungRadsCategory {
  const rule = BASELINE.find(({ attenuation, fromMm, solidFromMm }) => attenuation === nodule.attenuation && nodule.diameterMm >= fromMm && (solidFromMm === undefined || (nodule.solidDiameterMm ?? 0) >= solidFromMm));
  return rule?.category ?? '2';
}

/** That of the whole study: its highest one; 1 without a nodule. */
export function highestOf(categories: readonly LungRadsCategory[]): LungRadsCategory {
  return categories.reduce<LungRadsCategory>((highest, category) => (LUNG_RADS_CATEGORIES.indexOf(category) > LUNG_RADS_CATEGORIES.indexOf(highest) ? category : highest), '1');
}
