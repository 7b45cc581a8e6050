import type { AnalysisName } from '../../model/manifest.js';
import type { Classification } from '../../recipes/image-classifier.js';
import type { Label } from '../../report/finding.js';
import { summaryText } from '../../report/summary.js';
import { isNegativeLabel } from '../../report/terms.js';
import type { Conclusion, FrameRef } from '../analysis.js';

type Classified = Classification['labels'][number];

/**
 * Labels, positive ones first and then by probability; a finding for each positive one; a sentence on top.
 * Labels that say that nothing is there ("No Finding") are never findings.
 */
export function conclude(analysis: AnalysisName, { labels: classified }: Classification, { sopInstanceUid, frame }: FrameRef): Conclusion {
  const sorted = [...classified].sort((a, b) => Number(isPositive(b)) - Number(isPositive(a)) || b.probability - a.probability);
  const found = sorted.filter((one) => isPositive(one) && !isNegativeLabel(one.label.name));
  const labels = sorted.map((one): Label => ({ name: one.label.name, probability: one.probability, threshold: one.label.threshold, positive: isPositive(one), code: one.label.code }));
  return {
    kind: 'concluded',
    summary: { text: summaryText({ analysis, findings: [], labels, segments: [] }, 'en'), critical: found.some(({ label }) => label.critical) },
    findings: found.map(({ label, probability }) => ({ kind: 'label', code: label.code, score: probability, location: { sopInstanceUid, frame }, measurements: [] })),
    labels,
    segments: [],
    keyImage: { sopInstanceUid, frame },
    heatMaps: sorted.map(({ label, heatMap }) => ({ label: label.name, ...heatMap })),
    segmentation: null,
    details: {},
  };
}

function isPositive({ label, probability }: Classified): boolean {
  return probability >= label.threshold;
}
