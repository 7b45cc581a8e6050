import { z } from 'zod';
import { ANALYSIS_NAMES } from '../../../imaging/model/manifest.js';
import type { Language } from '../../../kernel/errors.js';
import { pageQuery, pageSchema } from '../../../platform/http/page.js';
import type { ModelRow } from './models.store.js';

const STATES = ['checking', 'available', 'active', 'shadow', 'retired', 'rejected'] as const;

const labelJson = z.object({
  name: z.string(),
  displayName: z.string().meta({ description: "In the caller's language" }),
  code: z.object({ system: z.string(), value: z.string(), meaning: z.string() }),
  threshold: z.number(),
  critical: z.boolean(),
});

const disabledLabelJson = z
  .object({
    name: z.string(),
    displayName: z.string().meta({ description: "In the caller's language" }),
    code: z.object({ system: z.string(), value: z.string(), meaning: z.string() }),
    reason: z.enum(['unmeasured', 'inaccurate']).meta({ description: '`unmeasured`: too few cases to say how good it is; `inaccurate`: measured, and not good enough' }),
  })
  .meta({ id: 'DisabledModelLabel' });

export const modelSchema = z
  .object({
    name: z.string(),
    version: z.string(),
    digest: z.string().meta({ description: 'sha256 over manifest and files' }),
    title: z.string().nullable(),
    license: z.string().nullable(),
    intendedUse: z.string().nullable(),
    analysis: z.string(),
    recipe: z.string(),
    state: z.enum(STATES).meta({ description: '`checking` until a worker has tried it' }),
    source: z.enum(['folder', 'upload']).meta({ description: '`folder`: lies in MODELS_DIR' }),
    signedBy: z.string().nullable().meta({ description: 'Key id of the trusted signer; null = unsigned, or by nobody whom MODEL_SIGNERS names' }),
    reason: z.object({ code: z.string(), detail: z.string() }).optional().meta({ description: 'Why it was rejected' }),
    labels: z.array(labelJson).meta({ description: 'What the model reports' }),
    disabledLabels: z.array(disabledLabelJson).meta({ description: 'Labels that the model computes and nobody gets: its maker has switched them off' }),
    outOfDistribution: z.object({ threshold: z.number(), falseAlarmRate: z.number(), n: z.int() }).nullable().meta({ description: 'How the model tells inputs unlike those that it was made with: what share of ordinary ones it calls strange, and on how many that was measured; null where it does not' }),
    domain: z.record(z.string(), z.unknown()).nullable().meta({ description: 'Studies that the model was made for' }),
    validation: z.array(z.record(z.string(), z.unknown())).meta({ description: 'Figures that the maker measured' }),
    createdAt: z.string().meta({ format: 'date-time' }),
    checkedAt: z.string().nullable().meta({ format: 'date-time' }),
  })
  .meta({ id: 'Model', description: 'An installed model' });

export type ModelJson = z.infer<typeof modelSchema>;

export const modelPageSchema = pageSchema(modelSchema, 'ModelPage');

export const modelQuery = pageQuery.extend({
  analysis: z.enum(ANALYSIS_NAMES).optional().meta({ description: 'Models of this analysis' }),
  state: z.enum(STATES).optional().meta({ description: 'Models in this state' }),
});
export type ModelQuery = z.infer<typeof modelQuery>;

/** What is read of a stored manifest; of a rejected one anything may be missing. */
const storedManifest = z.object({
  title: z.string().nullable().catch(null),
  license: z.string().nullable().catch(null),
  intendedUse: z.string().nullable().catch(null),
  domain: z.record(z.string(), z.unknown()).nullable().catch(null),
  validation: z.array(z.record(z.string(), z.unknown())).catch([]),
  labels: z.array(z.object({ name: z.string(), names: z.record(z.string(), z.string()).optional(), code: z.object({ system: z.string(), value: z.string(), meaning: z.string() }), threshold: z.number(), critical: z.boolean().default(false), enabled: z.boolean().default(true), disabledBecause: z.enum(['unmeasured', 'inaccurate']).catch('unmeasured') })).catch([]),
  outOfDistribution: z.object({ threshold: z.number(), falseAlarmRate: z.number(), n: z.int() }).nullable().catch(null),
});

export function modelJson(row: ModelRow, language: Language): ModelJson {
  const { title, license, intendedUse, domain, validation, labels, outOfDistribution } = storedManifest.parse(row.manifest);
  const reason = z.object({ code: z.string(), detail: z.string() }).safeParse(row.reason);
  return {
    name: row.name, version: row.version, digest: row.digest, title, license, intendedUse, analysis: row.analysis, recipe: row.recipe,
    // The column holds nothing else.
    state: row.state as ModelJson['state'],
    source: row.source as ModelJson['source'],
    signedBy: row.signedBy,
    ...(reason.success && { reason: reason.data }),
    labels: labels.filter(({ enabled }) => enabled).map(({ name, names, code, threshold, critical }) => ({ name, displayName: names?.[language] ?? name, code, threshold, critical })),
    disabledLabels: labels.filter(({ enabled }) => !enabled).map(({ name, names, code, disabledBecause }) => ({ name, displayName: names?.[language] ?? name, code, reason: disabledBecause })),
    outOfDistribution,
    domain, validation,
    createdAt: row.createdAt.toISOString(), checkedAt: row.checkedAt?.toISOString() ?? null,
  };
}

export const modelExample: ModelJson = {
  name: 'chest-xray-pneumonia', version: '1.0.0', digest: 'sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
  title: 'Pneumonia on chest X-rays of children', license: 'Apache-2.0', intendedUse: 'Second look at frontal chest X-rays of children of 1 to 5 years.',
  analysis: 'chest-xray-classification', recipe: 'image-classifier', state: 'active', source: 'folder', signedBy: null,
  labels: [{ name: 'Pneumonia', displayName: 'Pneumonia', code: { system: 'SNOMED-CT', value: '233604007', meaning: 'Pneumonia' }, threshold: 0.5, critical: false }],
  disabledLabels: [], outOfDistribution: { threshold: 31.2, falseAlarmRate: 0.05, n: 524 },
  domain: { modalities: ['CR', 'DX'], bodyParts: ['CHEST'], viewPositions: ['AP', 'PA'], ageYears: { min: 1, max: 5 }, unknownAge: 'outside', unknownView: 'inside', unknownBodyPart: 'inside' },
  validation: [{ dataset: 'PneumoniaMNIST', split: 'test', metric: 'AUC', label: 'Pneumonia', value: 0.97, ci95: [0.96, 0.98], n: 624 }],
  createdAt: '2026-11-21T10:00:00.000Z', checkedAt: '2026-11-21T10:00:01.000Z',
};
