import { z } from 'zod';

/** The JSON that a caller programs against: API.md, "Findings". Coordinates are LPS millimetres of the named Frame of Reference. */
export const codeSchema = z.object({ system: z.string(), value: z.string(), meaning: z.string() }).meta({ id: 'Code', description: 'A coded concept' });

/** `items` and the sizes are what generators of clients understand of a tuple. */
const point = z.tuple([z.number(), z.number(), z.number()]).meta({ items: { type: 'number' }, minItems: 3, maxItems: 3 });
const box = z.tuple([point, point]).meta({ items: { type: 'array', items: { type: 'number' } }, minItems: 2, maxItems: 2, description: 'Two opposite corners' });

/** Why a person does not let a finding stand. All but `duplicate` and `not-relevant` say that the model was wrong. */
export const REJECTION_REASONS = ['not-present', 'artefact', 'normal-anatomy', 'wrong-location', 'duplicate', 'not-relevant', 'other'] as const;
export type RejectionReason = (typeof REJECTION_REASONS)[number];

/** Who decided, and in which version of the result. */
const decided = {
  by: z.uuid().meta({ description: 'The person' }),
  at: z.string().meta({ format: 'date-time' }),
  version: z.number().int().min(2),
  bySignOff: z.literal(true).optional().meta({ description: 'Nobody decided about it alone: whoever signed the result let it stand' }),
};

export const findingReviewSchema = z
  .object({
    state: z.enum(['accepted', 'rejected', 'edited', 'added']).meta({ description: '`rejected` findings do not stand; `added` ones are a person’s own, with the score 1' }),
    reason: z.enum(REJECTION_REASONS).optional(),
    ...decided,
  })
  .meta({ id: 'FindingReview', description: 'What a person made of a finding' });

export const agreementSchema = z
  .object({ state: z.enum(['agreed', 'disagreed']), ...decided })
  .meta({ id: 'ReviewAgreement', description: 'Whether a person agrees with a label or a segment' });

/** What a finding is like, beyond what is measured: `attenuation`, `side`, `zone`, `lungRads`, … */
export const attributeSchema = z
  .object({
    name: z.string(),
    /** A word that programs read: `part-solid`, `right`, `4A`. */
    value: z.string(),
    /** What is said, coded. */
    concept: codeSchema.optional(),
    /** The value, coded. */
    code: codeSchema.optional(),
  })
  .meta({ id: 'Attribute', description: 'What a finding is like, beyond what is measured' });

export const findingSchema = z
  .object({
    id: z.uuid(),
    kind: z.string(),
    code: codeSchema,
    score: z.number().min(0).max(1),
    location: z
      .object({
        frameOfReferenceUid: z.string().optional(),
        center: point.optional(),
        box: box.optional(),
        sopInstanceUid: z.string(),
        frame: z.number().int().min(1),
      })
      .optional(),
    measurements: z.array(z.object({ name: z.string(), value: z.number(), unit: z.string() })),
    attributes: z.array(attributeSchema).optional(),
    review: findingReviewSchema.optional(),
  })
  .meta({ id: 'Finding' });

export const labelSchema = z
  .object({
    name: z.string(),
    /** In the caller's language. */
    displayName: z.string().optional(),
    probability: z.number().min(0).max(1),
    threshold: z.number().min(0).max(1),
    positive: z.boolean().meta({ description: 'As it stands: the other way round than the model has it where a person disagrees' }),
    code: codeSchema.optional(),
    review: agreementSchema.optional(),
  })
  .meta({ id: 'Label' });

export const segmentSchema = z.object({ number: z.number().int().min(1), name: z.string(), volumeMl: z.number(), review: agreementSchema.optional() }).meta({ id: 'Segment' });

export const summarySchema = z.object({ text: z.string(), critical: z.boolean() }).meta({ id: 'Summary' });

/** @see `outOfDistribution` of a model's manifest */
export const outOfDistributionSchema = z
  .object({
    score: z.number().meta({ description: 'How unlike the images of its training the model finds the input; a measure of the model’s own' }),
    threshold: z.number(),
    strange: z.boolean().meta({ description: 'The score is above the threshold: judge the findings with care' }),
  })
  .meta({ id: 'OutOfDistribution', description: 'Absent where the model does not say' });

export const provenanceSchema = z
  .object({
    model: z.object({
      name: z.string(), version: z.string(), digest: z.string(),
      /** What its manifest said when it ran. */
      intendedUse: z.string().optional(),
      domain: z.object({ modalities: z.array(z.string()), bodyParts: z.array(z.string()), ageYears: z.object({ min: z.number(), max: z.number() }).optional() }).optional(),
    }),
    software: z.string(),
    /** sha256 over the digests of the instances that were read, sorted by SOP Instance UID. */
    inputDigest: z.string(),
    executionProvider: z.string(),
    outOfDistribution: outOfDistributionSchema.optional(),
    /** What was selected, how it was prepared, what was counted; its keys are the analysis's own. */
    details: z.record(z.string(), z.unknown()).optional(),
    startedAt: z.string(),
    finishedAt: z.string(),
    signature: z
      .object({
        algorithm: z.literal('Ed25519'),
        keyId: z.string(),
        outputDigest: z.string().meta({ description: 'sha256 over the canonical JSON (RFC 8785) of findings, labels and segments as the model made them' }),
        value: z.string().meta({ description: 'base64url; the statement that it signs is at /results/{id}/provenance' }),
      })
      .meta({ id: 'ProvenanceSignature' })
      .optional(),
  })
  .meta({ id: 'Provenance' });

export type Finding = z.infer<typeof findingSchema>;
export type FindingReview = z.infer<typeof findingReviewSchema>;
export type ReviewAgreement = z.infer<typeof agreementSchema>;
export type Attribute = z.infer<typeof attributeSchema>;
export type Label = z.infer<typeof labelSchema>;
export type Segment = z.infer<typeof segmentSchema>;
export type Summary = z.infer<typeof summarySchema>;
export type OutOfDistribution = z.infer<typeof outOfDistributionSchema>;
export type Provenance = z.infer<typeof provenanceSchema>;

export const DISCLAIMER = { en: 'Not for primary diagnosis.', 'zh-CN': '不用于初步诊断。' } as const;
