import { z } from 'zod';
import type { Finding, Label } from './finding.js';

const word = z.string().trim().min(1).max(100);
const common = { id: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'must be lower-case letters, digits and dashes') };
/** Findings with a lower score do not count. */
const minScore = z.number().min(0).max(1).default(0);

export const criticalRuleSchema = z
  .discriminatedUnion('when', [
    /** A measurement of a finding reaches a value. */
    z.strictObject({ ...common, when: z.literal('measurement'), kind: word, measurement: word, unit: word, atLeast: z.number(), minScore }),
    /** An attribute of a finding is one of these. */
    z.strictObject({ ...common, when: z.literal('attribute'), kind: word, attribute: word, anyOf: z.array(word).min(1).max(50), minScore }),
    /** A label is positive: one of these, or without names one that the model marks as critical. */
    z.strictObject({ ...common, when: z.literal('label'), names: z.array(word).min(1).max(100).optional(), minProbability: z.number().min(0).max(1).default(0) }),
  ])
  .meta({ id: 'CriticalRule', description: 'What a person must be told at once' });

export const criticalRulesSchema = z
  .array(criticalRuleSchema)
  .max(100)
  .refine((rules) => new Set(rules.map(({ id }) => id)).size === rules.length, 'two rules have the same id')
  .meta({ id: 'CriticalRules', description: 'A result is critical when any of these holds' });

export type CriticalRule = z.output<typeof criticalRuleSchema>;

/**
 * What is critical where an institution says nothing else. American College of Radiology, Lung-RADS v2022: 4B and 4X are very suspicious;
 * 15 mm is where a solid nodule becomes one. Midline shift: 5 mm is a common bound for surgery (Bullock et al. 2006).
 */
export const DEFAULT_CRITICAL_RULES: readonly CriticalRule[] = [
  { id: 'large-nodule', when: 'measurement', kind: 'nodule', measurement: 'longAxis', unit: 'mm', atLeast: 15, minScore: 0 },
  { id: 'lung-rads', when: 'attribute', kind: 'nodule', attribute: 'lungRads', anyOf: ['4B', '4X'], minScore: 0 },
  { id: 'midline-shift', when: 'measurement', kind: 'tumour', measurement: 'midlineShift', unit: 'mm', atLeast: 5, minScore: 0 },
  { id: 'midline-shift-flag', when: 'attribute', kind: 'tumour', attribute: 'midlineShift', anyOf: ['present'], minScore: 0 },
  { id: 'marked-label', when: 'label', minProbability: 0 },
];

/** What the rules look at. */
export interface CriticalContent {
  findings: readonly Pick<Finding, 'kind' | 'score' | 'measurements' | 'attributes'>[];
  labels: readonly Pick<Label, 'name' | 'probability' | 'positive'>[];
  /** Names of the labels that the model marks as critical. */
  criticalLabels?: readonly string[];
}

/** The rules that hold, in their order. */
export function criticalRulesThatHold(content: CriticalContent, rules: readonly CriticalRule[]): CriticalRule[] {
  return rules.filter((rule) => {
    if (rule.when === 'label') {
      const names = rule.names ?? content.criticalLabels ?? [];
      return content.labels.some(({ name, positive, probability }) => positive && probability >= rule.minProbability && names.includes(name));
    }
    return content.findings.some((finding) => finding.kind === rule.kind && finding.score >= rule.minScore && holds(finding, rule));
  });
}

/** Whether a person must be told at once: any rule holds. */
export function isCritical(content: CriticalContent, rules: readonly CriticalRule[]): boolean {
  return criticalRulesThatHold(content, rules).length > 0;
}

function holds({ measurements, attributes = [] }: CriticalContent['findings'][number], rule: Exclude<CriticalRule, { when: 'label' }>): boolean {
  return rule.when === 'measurement'
    ? measurements.some(({ name, unit, value }) => name === rule.measurement && unit === rule.unit && value >= rule.atLeast)
    : attributes.some(({ name, value }) => name === rule.attribute && rule.anyOf.includes(value));
}
