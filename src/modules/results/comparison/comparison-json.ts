import { z } from 'zod';
import { TRENDS } from '../../../imaging/report/comparison-text.js';
import { comparisonSummary } from '../../../imaging/report/compose-comparison.js';
import type { Language } from '../../../kernel/errors.js';
import { resultExample } from '../findings-json.js';
import type { ComparedInHistory, DatedResult } from './comparison.service.js';

const changeFields = {
  prior: z.number(),
  current: z.number(),
  change: z.number(),
  changePercent: z.number().nullable().meta({ description: 'null where there was nothing before' }),
};

const datedSchema = z.object({ resultId: z.uuid(), studyInstanceUid: z.string(), at: z.string().meta({ format: 'date-time', description: 'The date of the study; when it came, where the study has none' }) });

/** `GET /results/{id}/comparison`. */
export const comparisonSchema = z
  .object({
    current: datedSchema,
    prior: datedSchema,
    days: z.number().int().meta({ description: 'From the prior to the current study' }),
    sameModel: z.boolean().meta({ description: 'Whether both results are of one model: another one may measure otherwise' }),
    registration: z.object({
      method: z.enum(['same-frame-of-reference', 'rigid', 'affine', 'none']),
      overlap: z.number().optional().meta({ description: 'Share of the current images inside the prior ones' }),
      reason: z.string().optional().meta({ description: 'Why there is none' }),
    }),
    summary: z.object({ text: z.string() }),
    findings: z.array(z.object({
      trend: z.enum(TRENDS),
      kind: z.string(),
      current: z.uuid().nullable().meta({ description: 'Id of the finding' }),
      prior: z.uuid().nullable().meta({ description: 'Id of the finding' }),
      distanceMm: z.number().optional().meta({ description: 'Between the two after registration' }),
      measurements: z.array(z.object({ name: z.string(), unit: z.string(), ...changeFields })),
      volumeDoublingDays: z.number().int().optional().meta({ description: 'Of what has grown, at the rate between the two studies' }),
    })),
    segments: z.array(z.object({ name: z.string(), ...changeFields })).meta({ description: 'Volumes in ml' }),
    labels: z.array(z.object({ name: z.string(), ...changeFields })).meta({ description: 'Probabilities' }),
    history: z.array(datedSchema).meta({ description: 'Results of this analysis that the patient has, up to this one, oldest first: any of them may be named with `with`' }),
  })
  .meta({ id: 'Comparison', description: 'What became of a patient’s findings between two studies' });

export type ComparisonJson = z.infer<typeof comparisonSchema>;

export function comparisonJson({ current, prior, days, alignment, comparison, history }: ComparedInHistory, language: Language): ComparisonJson {
  const { method, overlap, reason } = alignment;
  return {
    current: dated(current), prior: dated(prior), days,
    sameModel: current.record.provenance.model.digest === prior.record.provenance.model.digest,
    registration: { method, ...(overlap !== undefined && { overlap }), ...(reason !== undefined && { reason }) },
    summary: { text: comparisonSummary({ current: current.record, prior: prior.record, isAligned: method !== 'none', comparison }, language) },
    ...comparison,
    history: history.map(dated),
  };
}

function dated({ record: { id, studyInstanceUid }, at }: DatedResult): z.infer<typeof datedSchema> {
  return { resultId: id, studyInstanceUid, at: at.toISOString() };
}

export const comparisonExample: ComparisonJson = {
  current: { resultId: resultExample.id, studyInstanceUid: resultExample.studyInstanceUid, at: '2026-11-21T00:00:00.000Z' },
  prior: { resultId: '0198c0de-4a10-7c3e-9d52-6f0f1c2b3a40', studyInstanceUid: '2.25.314159265358979323846264338327950001', at: '2026-08-20T00:00:00.000Z' },
  days: 93,
  sameModel: true,
  registration: { method: 'affine', overlap: 0.97 },
  summary: { text: '1 grown, 1 gone' },
  findings: [
    {
      trend: 'grown', kind: 'nodule', current: '0198c0de-4a10-7c3e-9d52-6f0f1c2b3a4a', prior: '0198c0de-4a10-7c3e-9d52-6f0f1c2b3a41', distanceMm: 1.2, volumeDoublingDays: 82,
      measurements: [{ name: 'diameter', unit: 'mm', prior: 8, current: 10.4, change: 2.4, changePercent: 30 }],
    },
    { trend: 'gone', kind: 'nodule', current: null, prior: '0198c0de-4a10-7c3e-9d52-6f0f1c2b3a42', measurements: [] },
  ],
  segments: [],
  labels: [],
  history: [
    { resultId: '0198c0de-4a10-7c3e-9d52-6f0f1c2b3a40', studyInstanceUid: '2.25.314159265358979323846264338327950001', at: '2026-08-20T00:00:00.000Z' },
    { resultId: resultExample.id, studyInstanceUid: resultExample.studyInstanceUid, at: '2026-11-21T00:00:00.000Z' },
  ],
};
