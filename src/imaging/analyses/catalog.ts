import { ANALYSIS_NAMES, type AnalysisName } from '../model/manifest.js';
import type { Analysis } from './analysis.js';
import { chestXrayClassification } from './chest-xray/analysis.js';
import { lungNoduleDetection } from './lung-nodule/analysis.js';

/** Every analysis that a caller may name; undefined where the product has no code for it yet. */
export const CATALOG: Readonly<Record<AnalysisName, Analysis | undefined>> = {
  'chest-xray-classification': chestXrayClassification,
  'lung-nodule-detection': lungNoduleDetection,
  'brain-tumour-segmentation': undefined,
};

/** The analyses that can run. */
export const ANALYSES: readonly Analysis[] = ANALYSIS_NAMES.map((name) => CATALOG[name]).filter((analysis) => analysis !== undefined);
