import { z } from 'zod';
import { ANALYSIS_NAMES } from '../../../imaging/model/manifest.js';
import { isDicomUidAsFound } from '../../../kernel/uid.js';
import type { ConditionName } from './rule.js';
import { conditionsSchema, planSchema, PRIORITIES } from './rule.js';
import type { RuleDraft, StoredRule } from './routing-rules.store.js';

/** Rules of one institution. Each is looked at for every study that becomes complete. */
export const MOST_RULES = 200;

const name = z.string().trim().min(1).max(100).regex(/^[^\u0000-\u001f\u007f-\u009f]*$/, 'must be one line of text').meta({ example: 'Emergency CT' });
const position = z.int().min(0).max(1_000_000).meta({ description: 'Lower ones are looked at first; of equal ones the older', example: 10 });
const last = z.boolean().meta({ description: 'Rules after it are not looked at when it matches' });

export const ruleSchema = z
  .object({ id: z.uuid(), name: z.string(), enabled: z.boolean(), position: z.int(), conditions: conditionsSchema, plan: planSchema, last: z.boolean(), createdAt: z.iso.datetime(), updatedAt: z.iso.datetime() })
  .meta({ id: 'RoutingRule' });
export const rulesSchema = z.object({ items: z.array(ruleSchema) }).meta({ id: 'RoutingRules' });
export const createRule = z
  .strictObject({ name, enabled: z.boolean().default(true), position: position.optional(), conditions: conditionsSchema.default({}), plan: planSchema, last: last.default(false) })
  .meta({ id: 'CreateRoutingRule', example: { name: 'Emergency CT', conditions: { modalities: ['CT'], stationNames: ['CT_ER_*'] }, plan: [{ analysis: 'lung-nodule-detection', priority: 'stat' }] } });
export const updateRule = z
  .strictObject({ name, enabled: z.boolean(), position, conditions: conditionsSchema, plan: planSchema, last })
  .partial()
  .refine((change) => Object.keys(change).length > 0, 'Nothing to change')
  .meta({ id: 'UpdateRoutingRule', example: { enabled: false } });

const uid = z.string().max(64).refine(isDicomUidAsFound, 'must be a DICOM UID');
export const testRules = z.strictObject({ studyInstanceUid: uid.meta({ example: '2.25.314159265358979323846264338327950288' }) }).meta({ id: 'TestRoutingRules' });

const CONDITION_NAMES = Object.keys(conditionsSchema.shape) as [ConditionName, ...ConditionName[]]; // a strict schema has no other keys

export const testSchema = z
  .object({
    studyInstanceUid: z.string(),
    byRules: z.boolean().meta({ description: 'false: no rule is enabled, so every analysis that fits is planned, at routine' }),
    rules: z.array(z.object({
      id: z.uuid(), name: z.string(), outcome: z.enum(['matched', 'not-matched', 'disabled', 'not-reached']), why: z.string(),
      seriesInstanceUids: z.array(z.string()).meta({ description: 'Series that meet every condition' }),
      conditions: z.array(z.object({ condition: z.enum(CONDITION_NAMES), met: z.boolean(), found: z.array(z.string()).meta({ description: 'Values in the study' }) })),
    })),
    planned: z.array(z.object({
      analysis: z.enum(ANALYSIS_NAMES), priority: z.enum(PRIORITIES), ruleId: z.uuid().nullable(),
      model: z.object({ name: z.string(), version: z.string() }).nullable(),
      outcome: z.enum(['analysed', 'not-analysable', 'not-planned']).meta({ description: '`not-analysable`: a run would be made and would end so, as far as can be said before the images are read' }),
      reason: z.object({ code: z.string(), detail: z.string() }).optional(),
      series: z.array(z.object({ seriesInstanceUid: z.string(), role: z.string(), reason: z.string() })).meta({ description: 'Series that would be read, and why' }),
      passedOver: z.array(z.object({ seriesInstanceUid: z.string(), reason: z.string() })),
    })),
  })
  .meta({ id: 'RoutingTest', description: 'What would be done with a study' });

export type RuleBody = z.infer<typeof ruleSchema>;
export type TestBody = z.infer<typeof testSchema>;

export const ruleExample: RuleBody = {
  id: '0198c0de-0000-7000-8000-000000000007', name: 'Emergency CT', enabled: true, position: 10, last: false,
  conditions: { modalities: ['CT'], stationNames: ['CT_ER_*'] }, plan: [{ analysis: 'lung-nodule-detection', priority: 'stat' }],
  createdAt: '2026-11-21T10:00:00.000Z', updatedAt: '2026-11-21T10:00:00.000Z',
};
export const testExample: TestBody = {
  studyInstanceUid: '2.25.314159265358979323846264338327950288', byRules: true,
  rules: [{ id: ruleExample.id, name: ruleExample.name, outcome: 'matched', why: 'One series meets every condition.', seriesInstanceUids: ['2.25.1'], conditions: [{ condition: 'modalities', met: true, found: ['CT'] }, { condition: 'stationNames', met: true, found: ['CT_ER_1'] }] }],
  planned: [{
    analysis: 'lung-nodule-detection', priority: 'stat', ruleId: ruleExample.id, model: { name: 'lung-dlwpt', version: '1.0.0' }, outcome: 'not-analysable',
    reason: { code: 'slice-too-thick', detail: 'The slices are 5 mm thick; this model reads up to 2.5 mm.' }, series: [], passedOver: [],
  }],
};

export function ruleBody({ id, name: called, enabled, position: place, conditions, plan, last: ends, createdAt, updatedAt }: StoredRule): RuleBody {
  return { id, name: called, enabled, position: place, conditions, plan, last: ends, createdAt: createdAt.toISOString(), updatedAt: updatedAt.toISOString() };
}

/** Without the fields that were left out, which zod types as undefined. */
export function givenOf(change: z.output<typeof updateRule>): Partial<RuleDraft> {
  return Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
}
