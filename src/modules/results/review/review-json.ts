import { z } from 'zod';
import { findingSchema, labelSchema, segmentSchema } from '../../../imaging/report/finding.js';
import { decisionSchema } from '../../../imaging/report/review.js';
import { pageSchema } from '../../../platform/http/page.js';
import { findingJson, resultExample, SIGNATURE_MEANINGS } from '../findings-json.js';
import { signatureSchema, SIGN_OFF_STATEMENT } from '../provenance/signed-statement.js';
import type { ResultRecord } from '../results.store.js';
import type { VersionRecord } from './versions.store.js';
import type { Words } from './words.service.js';

/** Far more than a person decides in one go. */
const MOST_DECISIONS = 500;
const reason = z.string().trim().min(3).max(2_000).meta({ description: 'Why, in words; kept encrypted', example: 'The nodule in the left lower lobe is a vessel' });
const decisionExample = { decision: 'label', label: 'Pneumonia', agrees: true } as const;

export const newReviewSchema = z
  .strictObject({ decisions: z.array(decisionSchema).min(1).max(MOST_DECISIONS) })
  .meta({ id: 'NewReview', example: { decisions: [decisionExample] } });
export type NewReview = z.infer<typeof newReviewSchema>;

export const newAmendmentSchema = z
  .strictObject({ reason, decisions: z.array(decisionSchema).max(MOST_DECISIONS).default([]).meta({ description: 'More can follow by reviews, until it is signed' }) })
  .meta({ id: 'NewAmendment', example: { reason: 'The nodule in the left lower lobe is a vessel', decisions: [{ ...decisionExample, agrees: false }] } });
export type NewAmendment = z.infer<typeof newAmendmentSchema>;

export const newSignOffSchema = z
  .strictObject({
    meaning: z.enum(SIGNATURE_MEANINGS).default('approved').meta({ description: 'What the signature says of the result', example: 'approved' }),
    statement: z.string().trim().min(1).max(2_000).optional().meta({ description: 'More, in words; kept encrypted' }),
    password: z.string().min(1).max(1_024).optional().meta({ description: 'Of whoever signs; or `code`', example: 'what it is' }),
    code: z.string().min(6).max(64).optional().meta({ description: 'Of the second factor of whoever signs; or `password`' }),
  })
  .refine(({ password, code }) => (password === undefined) !== (code === undefined), { message: 'must have either a password or a code', path: ['password'] })
  .meta({ id: 'NewSignOff', example: { meaning: 'approved', password: 'what it is' } });
export type NewSignOff = z.output<typeof newSignOffSchema>;

export const versionSchema = z
  .object({
    version: z.int().min(1),
    kind: z.enum(['analysis', 'review', 'amendment', 'sign-off']).meta({ description: '`analysis`: as the model made it' }),
    status: z.enum(['preliminary', 'final', 'amended', 'withheld']).meta({ description: 'Of the result while this was its newest version' }),
    at: z.iso.datetime(),
    by: z.object({ id: z.uuid(), name: z.string() }).nullable().meta({ description: 'null: the model' }),
    decisions: z.array(z.record(z.string(), z.unknown())).meta({ description: 'As they were made, with comments' }),
    reason: z.string().optional().meta({ description: 'Why it was amended' }),
    signOff: z
      .object({
        meaning: z.enum(SIGNATURE_MEANINGS), statement: z.string().optional(), proof: z.enum(['password', 'second-factor']),
        contentDigest: z.string().meta({ description: 'sha256 over the canonical JSON of findings, labels and segments' }),
        signed: z.record(z.string(), z.unknown()).meta({ description: 'What the installation’s signature is over, in canonical JSON' }), signature: signatureSchema,
      })
      .optional(),
  })
  .meta({ id: 'ResultVersion', description: 'What was done to a result' });
export type VersionJson = z.infer<typeof versionSchema>;
export const versionPageSchema = pageSchema(versionSchema, 'ResultVersionPage');

export const fullVersionSchema = versionSchema
  .extend({ findings: z.array(findingSchema), labels: z.array(labelSchema), segments: z.array(segmentSchema) })
  .meta({ id: 'FullResultVersion', description: 'A result as it was in one version' });
export type FullVersionJson = z.infer<typeof fullVersionSchema>;

export function versionJson(record: VersionRecord, { reason: why, statement, comments }: Words): VersionJson {
  const { version, kind, status, createdAt, authorId, authorName, decisions, signature } = record;
  return {
    version, kind, status, at: createdAt.toISOString(), by: { id: authorId, name: authorName },
    decisions: decisions.map((decision, index) => ({ ...decision, ...(comments?.[String(index)] !== undefined && { comment: comments[String(index)] }) })),
    ...(why !== undefined && { reason: why }),
    ...(signature && {
      signOff: {
        // The column holds nothing else.
        meaning: signature.statement.meaning as (typeof SIGNATURE_MEANINGS)[number], ...(statement !== undefined && { statement }), proof: signature.statement.proof,
        contentDigest: signature.statement.contentDigest, signed: { ...signature.statement }, signature: signature.signature,
      },
    }),
  };
}

export function fullVersionJson(record: VersionRecord, words: Words): FullVersionJson {
  const { findings, labels, segments } = record.content;
  return { ...versionJson(record, words), findings: findings.map(findingJson), labels, segments };
}

/** As the model made it; of a result that is withheld, that there is one. */
export function firstVersionJson({ findings, labels, segments, createdAt, status }: ResultRecord): FullVersionJson {
  const about = { version: 1, kind: 'analysis' as const, at: createdAt.toISOString(), by: null, decisions: [] };
  if (status === 'withheld') return { ...about, status, findings: [], labels: [], segments: [] };
  return { ...about, status: 'preliminary', findings: findings.map(findingJson), labels, segments };
}

const by = { id: '0198c0de-4a10-7c3e-9d52-6f0f1c2b3a4a', name: 'Ada Wong' };
export const versionExample: VersionJson = {
  version: 3, kind: 'sign-off', status: 'final', at: '2026-11-21T11:00:00.000Z', by, decisions: [],
  signOff: {
    meaning: 'approved', proof: 'password', contentDigest: 'sha256:60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752',
    signed: { type: SIGN_OFF_STATEMENT, resultId: resultExample.id, version: 3, contentDigest: 'sha256:60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752', by: by.id, name: by.name, meaning: 'approved', proof: 'password', at: '2026-11-21T11:00:00.000Z' },
    signature: { algorithm: 'Ed25519', keyId: '0198c0de-4a10-7b11-8a01-0c9d8e7f6a5c', value: 'p8vRh2b0F6rY2oQ3b3mD1wq7m2zX0sZb0o8p6uJ9tQ4cVnqv3lq1m4mVgq0sC7mH0K5e1bqXoR5mA2m3w8sBDA' },
  },
};
export const reviewExample: VersionJson = { version: 2, kind: 'review', status: 'preliminary', at: '2026-11-21T10:50:00.000Z', by, decisions: [{ ...decisionExample, comment: 'Right lower lobe' }] };
export const fullVersionExample: FullVersionJson = { ...versionExample, findings: [], labels: resultExample.labels, segments: [] };
