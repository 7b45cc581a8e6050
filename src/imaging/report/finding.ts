import { z } from 'zod';

/** The JSON that a caller programs against: API.md, "Findings". Coordinates are LPS millimetres of the named Frame of Reference. */
export const codeSchema = z.object({ system: z.string(), value: z.string(), meaning: z.string() }).meta({ id: 'Code', description: 'A coded concept' });

/** `items` and the sizes are what generators of clients understand of a tuple. */
const point = z.tuple([z.number(), z.number(), z.number()]).meta({ items: { type: 'number' }, minItems: 3, maxItems: 3 });
const box = z.tuple([point, point]).meta({ items: { type: 'array', items: { type: 'number' } }, minItems: 2, maxItems: 2, description: 'Two opposite corners' });

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
  })
  .meta({ id: 'Finding' });

export const labelSchema = z
  .object({
    name: z.string(),
    /** In the caller's language. */
    displayName: z.string().optional(),
    probability: z.number().min(0).max(1),
    threshold: z.number().min(0).max(1),
    positive: z.boolean(),
    code: codeSchema.optional(),
  })
  .meta({ id: 'Label' });

export const segmentSchema = z.object({ number: z.number().int().min(1), name: z.string(), volumeMl: z.number() }).meta({ id: 'Segment' });

export const summarySchema = z.object({ text: z.string(), critical: z.boolean() }).meta({ id: 'Summary' });

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
    /** What was selected, how it was prepared, what was counted; its keys are the analysis's own. */
    details: z.record(z.string(), z.unknown()).optional(),
    startedAt: z.string(),
    finishedAt: z.string(),
  })
  .meta({ id: 'Provenance' });

export type Finding = z.infer<typeof findingSchema>;
export type Attribute = z.infer<typeof attributeSchema>;
export type Label = z.infer<typeof labelSchema>;
export type Segment = z.infer<typeof segmentSchema>;
export type Summary = z.infer<typeof summarySchema>;
export type Provenance = z.infer<typeof provenanceSchema>;

export const DISCLAIMER = { en: 'Not for primary diagnosis.', 'zh-CN': '不用于初步诊断。' } as const;
