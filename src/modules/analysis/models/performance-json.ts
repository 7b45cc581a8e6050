import { z } from 'zod';
import type { Series } from '../../../imaging/report/review-figures.js';

const share = z.number().nullable();

const runFigures = z
  .object({
    runs: z.record(z.string(), z.int()).meta({ description: 'How many ended, or wait, in each status' }),
    latencyMs: z.record(z.string(), z.object({ runs: z.int(), p50: z.number(), p95: z.number() })).meta({ description: 'Of runs that succeeded, by stage; `total` from the claim to the end' }),
  })
  .meta({ id: 'RunFigures' });

const names = z.object({ name: z.string(), version: z.string(), digest: z.string() });

const labelAgreement = z
  .object({
    label: z.string(), pairs: z.int(), bothPositive: z.int(), onlyFirst: z.int().meta({ description: 'Positive for the active model only' }), onlySecond: z.int(), bothNegative: z.int(),
    positiveAgreement: share, negativeAgreement: share, kappa: share.meta({ description: 'Cohen' }),
    meanProbabilityDifference: z.number().meta({ description: 'Shadow less active' }), meanAbsoluteProbabilityDifference: z.number(),
    differenceHistogram: z.array(z.int()).meta({ description: 'Twenty bins of 0.1 from −1 to 1' }),
  })
  .meta({ id: 'LabelAgreement' });

const detectionAgreement = z
  .object({
    kind: z.string(), studies: z.int(), first: z.int(), second: z.int(), matched: z.int(), onlyFirst: z.int(), onlySecond: z.int(),
    agreement: z.number().meta({ description: '2 × matched / (first + second)' }), withinMm: z.number(), meanDistanceMm: z.number().nullable(),
  })
  .meta({ id: 'DetectionAgreement' });

const volumeAgreement = z
  .object({
    segment: z.string(), pairs: z.int(), meanFirstMl: z.number(), meanSecondMl: z.number(), meanDifferenceMl: z.number(), meanAbsoluteDifferenceMl: z.number(),
    limitsOfAgreementMl: z.tuple([z.number(), z.number()]).meta({ items: { type: 'number' }, minItems: 2, maxItems: 2 }).nullable(),
  })
  .meta({ id: 'VolumeAgreement' });

const reviewFigures = z.object({
  results: z.int(), reviewed: z.int().meta({ description: 'Results that a person has looked at' }),
  accepted: z.int().meta({ description: 'Findings of the model that stand as they were' }), acceptedBySignOff: z.int().meta({ description: 'Of them, those that nobody decided about alone: the result was signed' }),
  edited: z.int(), rejected: z.int(), added: z.int().meta({ description: 'Findings of persons: what the model missed' }),
  acceptRate: share.meta({ description: '(accepted + edited) / (accepted + edited + rejected)' }),
  falsePositivesPerStudy: share.meta({ description: 'Rejected findings, but for duplicates and those that are not relevant, by reviewed studies' }), missedPerStudy: share,
  labelDisagreementRate: share,
});
const spread = { results: z.int(), mean: z.number(), standardDeviation: share };
const series = z
  .object({
    by: z.enum(['all', 'station', 'scanner']).meta({ description: '`station`: Station Name; `scanner`: manufacturer and model' }),
    group: z.string().meta({ description: '`unknown` where the images do not say; `other` for all but the 20 with the most results' }),
    buckets: z.array(reviewFigures.extend({
      from: z.iso.datetime(),
      topScore: z.object(spread).nullable().meta({ description: 'The highest score or probability of each result' }),
      scorePsi: share.meta({ description: 'Population stability index of the top scores against all results of the group before; above 0.25 much has changed. null where either is fewer than 20' }),
      inputs: z.array(z.object({ name: z.string(), ...spread, shift: share.meta({ description: 'From the mean of all before, in their standard deviations' }) })),
    })),
  })
  .meta({ id: 'PerformanceSeries', description: 'Days or weeks (UTC, from Monday); those without results are left out' });

export const performanceSchema = z
  .object({
    name: z.string(),
    of: z.enum(['institution', 'installation']),
    from: z.iso.datetime(),
    to: z.iso.datetime(),
    versions: z.array(z.object({
      version: z.string(), digest: z.string(), state: z.string().nullable().meta({ description: 'null: the version has other content now' }),
      clinical: runFigures, shadow: runFigures,
      positiveRates: z.array(z.object({ label: z.string(), results: z.int(), positive: z.int(), rate: z.number() })).meta({ description: 'Of the newest 5 000 results of all versions' }),
      findingsPerResult: z.number().nullable(),
      reviews: reviewFigures.extend({ labels: z.array(z.object({ label: z.string(), judged: z.int(), agreed: z.int(), falsePositives: z.int(), falseNegatives: z.int() })) }).meta({ id: 'ReviewFigures', description: 'What persons made of the results' }),
      series: z.array(series),
    })),
    comparisons: z.array(z.object({
      active: names, shadow: names,
      agreement: z.object({ pairs: z.int(), labels: z.array(labelAgreement), detections: z.array(detectionAgreement), volumes: z.array(volumeAgreement) }),
    })).meta({ description: 'Of the newest 2 000 studies on which both have run, in the same revision; `first` is the active model, `second` the one in the shadow' }),
  })
  .meta({ id: 'ModelPerformance' });

export type PerformanceJson = z.infer<typeof performanceSchema>;

/** Moments as text. */
export function seriesJson(all: readonly Series[]): PerformanceJson['versions'][number]['series'] {
  return all.map(({ buckets, ...names }) => ({ ...names, buckets: buckets.map(({ from, ...figures }) => ({ ...figures, from: from.toISOString() })) }));
}

const moment = z.iso.datetime({ offset: true }).transform((text) => new Date(text));

export const performanceQuery = z.strictObject({
  of: z.enum(['institution', 'installation']).default('institution').meta({ description: 'Runs of your institution, or of all, which is for who runs the installation' }),
  from: moment.optional().meta({ description: 'Runs that were created at or after; 90 days before `to` without it', example: '2026-11-01T00:00:00Z' }),
  to: moment.optional().meta({ description: 'Runs that were created before; now without it', example: '2026-12-01T00:00:00Z' }),
  bucket: z.enum(['day', 'week']).default('week').meta({ description: 'Of the series' }),
});

const latencyMs = { read: { runs: 180, p50: 12, p95: 40 }, infer: { runs: 180, p50: 31, p95: 58 }, total: { runs: 180, p50: 96, p95: 190 } };
const digests = ['sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08', 'sha256:60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752'];

const reviewed = { results: 180, reviewed: 60, accepted: 14, acceptedBySignOff: 9, edited: 1, rejected: 3, added: 2, acceptRate: 0.83, falsePositivesPerStudy: 0.05, missedPerStudy: 0.03, labelDisagreementRate: 0.05 };

export const performanceExample: PerformanceJson = {
  name: 'chest-xray-pneumonia', of: 'institution', from: '2026-08-25T00:00:00.000Z', to: '2026-11-23T00:00:00.000Z',
  versions: [{
    version: '1.0.0', digest: digests[0] ?? '', state: 'active', clinical: { runs: { 'succeeded': 180, 'not-analysable': 4 }, latencyMs }, shadow: { runs: {}, latencyMs: {} },
    positiveRates: [{ label: 'Pneumonia', results: 180, positive: 45, rate: 0.25 }], findingsPerResult: 0.25,
    reviews: { ...reviewed, labels: [{ label: 'Pneumonia', judged: 60, agreed: 57, falsePositives: 2, falseNegatives: 1 }] },
    series: [{
      by: 'all', group: 'all',
      buckets: [{ ...reviewed, from: '2026-11-16T00:00:00.000Z', topScore: { results: 180, mean: 0.31, standardDeviation: 0.2 }, scorePsi: 0.04, inputs: [{ name: 'pixelSpacingMm', results: 180, mean: 0.14, standardDeviation: 0.01, shift: 0.1 }] }],
    }],
  }],
  comparisons: [{
    active: { name: 'chest-xray-pneumonia', version: '1.0.0', digest: digests[0] ?? '' }, shadow: { name: 'chest-xray-pneumonia', version: '1.1.0', digest: digests[1] ?? '' },
    agreement: {
      pairs: 20,
      labels: [{
        label: 'Pneumonia', pairs: 20, bothPositive: 5, onlyFirst: 1, onlySecond: 2, bothNegative: 12, positiveAgreement: 0.77, negativeAgreement: 0.89, kappa: 0.66, meanProbabilityDifference: 0.01,
        meanAbsoluteProbabilityDifference: 0.06, differenceHistogram: [0, 0, 0, 0, 0, 0, 0, 1, 2, 6, 9, 1, 1, 0, 0, 0, 0, 0, 0, 0],
      }],
      detections: [], volumes: [],
    },
  }],
};
