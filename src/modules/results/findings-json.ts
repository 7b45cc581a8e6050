import { z } from 'zod';
import { codeSchema, DISCLAIMER, findingSchema, labelSchema, provenanceSchema, segmentSchema, summarySchema, type Finding } from '../../imaging/report/finding.js';
import { summaryText } from '../../imaging/report/summary.js';
import { displayNameOf } from '../../imaging/report/terms.js';
import { warningSchema, warningsOf } from '../../imaging/report/warnings.js';
import type { Language } from '../../kernel/errors.js';
import { pageSchema } from '../../platform/http/page.js';
import { etagOf } from '../../platform/http/representation.js';
import type { ResultRecord, ReviewState } from './results.store.js';
import { faultSchema, faultsJson, WITHHELD_TEXT } from './withheld.js';

/** What a signature says of the result. */
export const SIGNATURE_MEANINGS = ['reviewed', 'approved', 'responsible'] as const;

/** API.md, "Findings": what a caller programs against. */
export const resultSchema = z
  .object({
    id: z.uuid(),
    analysisId: z.uuid(),
    analysis: z.string(),
    studyInstanceUid: z.string(),
    status: z.enum(['preliminary', 'final', 'amended', 'withheld']).meta({ description: '`preliminary` until a person signs off, then `final` or `amended`; `withheld` when the result gate refused it' }),
    createdAt: z.string().meta({ format: 'date-time' }),
    summary: summarySchema,
    warnings: z.array(warningSchema).optional().meta({ description: 'What a reader must know before trusting the result; absent where there is nothing' }),
    findings: z.array(findingSchema),
    labels: z.array(labelSchema),
    segments: z.array(segmentSchema),
    faults: z.array(faultSchema).optional().meta({ description: 'Why the result is withheld; findings, labels and segments are empty then' }),
    provenance: provenanceSchema,
    disclaimer: z.string(),
    review: z
      .object({
        version: z.int().min(2).meta({ description: 'Of the result; 1 is what the model made' }),
        kind: z.enum(['review', 'amendment', 'sign-off']).meta({ description: 'What made this version' }),
        by: z.uuid(), at: z.string().meta({ format: 'date-time' }),
        signedVersion: z.int().nullable().meta({ description: 'The newest version that is signed. Where it is another than this one, an amendment waits for its signature' }),
        signOff: z.object({ by: z.uuid(), name: z.string(), at: z.string().meta({ format: 'date-time' }), meaning: z.enum(SIGNATURE_MEANINGS) }).optional().meta({ description: 'When this version is signed' }),
      })
      .optional()
      .meta({ id: 'ResultReview', description: 'Absent until a person has looked at the result. Findings, labels and segments are as they stand since' }),
  })
  .meta({ id: 'Result', description: 'What one analysis found. Coordinates are millimetres in the patient system (LPS) of the named Frame of Reference.' });

export const resultPageSchema = pageSchema(resultSchema, 'ResultPage');

export type ResultJson = z.infer<typeof resultSchema>;

/** A stored result in the reader's language. */
export function findingsJson(record: ResultRecord, language: Language): ResultJson {
  if (record.status === 'withheld') return withheldJson(record, language);
  const { id, analysisId, analysis, studyInstanceUid, status, createdAt, summary, labels, segments, provenance, version, review } = record;
  const findings = review?.findings ?? record.findings;
  const warnings = warningsOf(provenance, language);
  return {
    id, analysisId, analysis, studyInstanceUid, status,
    createdAt: createdAt.toISOString(),
    summary: { text: resultSummary(record, language), critical: summary.critical },
    ...(warnings.length > 0 && { warnings }),
    // PostgreSQL keeps JSON in an order of its own; a reader gets the order of the documentation.
    findings: findings.map((finding) => findingJson(finding)),
    labels: labels.map((label) => inOrder(labelSchema, { ...label, displayName: displayNameOf(label.name, language), ...(label.code && { code: inOrder(codeSchema, label.code) }) })),
    segments: segments.map((segment) => inOrder(segmentSchema, segment)),
    provenance: inOrder(provenanceSchema, provenance),
    disclaimer: DISCLAIMER[language],
    ...(review && { review: reviewJson(version, review) }),
  };
}

export function findingJson(finding: Finding): Finding {
  return inOrder(findingSchema, { ...finding, code: inOrder(codeSchema, finding.code) });
}

function reviewJson(version: number, { kind, by, at, signedVersion, signOff }: ReviewState): NonNullable<ResultJson['review']> {
  // The column holds nothing else.
  return { version, kind, by, at, signedVersion, ...(signOff && { signOff: { ...signOff, meaning: signOff.meaning as (typeof SIGNATURE_MEANINGS)[number] } }) };
}

/** The tags of a result in every language: a change may name any of them. */
export function etagsOf({ id, version, updatedAt }: ResultRecord): Readonly<Record<Language, string>> {
  const of = (language: Language): string => etagOf(id, version, updatedAt.getTime(), language);
  return { 'en': of('en'), 'zh-CN': of('zh-CN') };
}

/** Says that there is a result, and why nobody gets it. */
function withheldJson({ id, analysisId, analysis, studyInstanceUid, status, createdAt, provenance, faults }: ResultRecord, language: Language): ResultJson {
  return {
    id, analysisId, analysis, studyInstanceUid, status, createdAt: createdAt.toISOString(),
    summary: { text: WITHHELD_TEXT[language], critical: false },
    findings: [], labels: [], segments: [],
    faults: faultsJson(faults, language),
    provenance: inOrder(provenanceSchema, provenance),
    disclaimer: DISCLAIMER[language],
  };
}

/** Of nodules each is a finding, and its segment would say the same again. */
export function resultSummary(record: Pick<ResultRecord, 'analysis' | 'findings' | 'labels' | 'segments'>, language: Language): string {
  return summaryText(record.analysis === 'lung-nodule-detection' ? { ...record, segments: [] } : record, language);
}

function inOrder<T extends object>(schema: z.ZodObject, value: T): T {
  const known = Object.keys(schema.shape).filter((key) => key in value);
  // The same members as before.
  return Object.fromEntries(known.map((key) => [key, value[key as keyof T]])) as T;
}

export const resultExample: ResultJson = {
  id: '0198c0de-4a10-7c3e-9d52-6f0f1c2b3a49',
  analysisId: '0198c0de-4a10-7b11-8a01-0c9d8e7f6a5b',
  analysis: 'chest-xray-classification',
  studyInstanceUid: '2.25.314159265358979323846264338327950288',
  status: 'preliminary',
  createdAt: '2026-11-21T10:00:00.000Z',
  summary: { text: 'Pneumonia 93 %', critical: false },
  findings: [],
  labels: [{ name: 'Pneumonia', displayName: 'Pneumonia', probability: 0.93, threshold: 0.5, positive: true }],
  segments: [],
  provenance: {
    model: { name: 'chest-xray-pneumonia', version: '1.0.0', digest: 'sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08' },
    software: '1.0.0',
    inputDigest: 'sha256:60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752',
    executionProvider: 'cpu',
    startedAt: '2026-11-21T09:59:58.412Z',
    finishedAt: '2026-11-21T10:00:00.000Z',
  },
  disclaimer: DISCLAIMER.en,
};
