import { strings, text } from '../../../imaging/dicom/attributes.js';
import type { StudyInput } from '../../../imaging/analyses/analysis.js';
import type { AnalysisName } from '../../../imaging/model/manifest.js';
import { matchesPattern } from './pattern.js';
import type { ConditionName, Priority, Rule } from './rule.js';

export interface Check {
  condition: ConditionName;
  met: boolean;
  /** Values of the study that were compared. */
  found: string[];
}

export interface Evaluation {
  rule: Rule;
  outcome: 'matched' | 'not-matched' | 'disabled' | 'not-reached';
  /** Why, in a sentence. */
  why: string;
  checks: Check[];
  /** Series that meet every condition. */
  seriesInstanceUids: string[];
}

export interface Wanted {
  analysis: AnalysisName;
  model: string | undefined;
  priority: Priority;
  ruleId: string;
}

type Series = StudyInput['series'][number];

const TAGS: Readonly<Record<ConditionName, readonly string[]>> = {
  modalities: ['00080060'], bodyParts: ['00180015'], studyDescriptions: ['00081030'], seriesDescriptions: ['0008103E'], stationNames: ['00081010'], aeTitles: ['00400241'], institutionNames: ['00080080'],
};

/**
 * Looks at the rules in their order. Of several that name an analysis, the first one that matches says how it is done.
 *
 * @returns undefined for `wanted` when no rule is enabled: then every analysis that fits is done
 */
export function evaluateRules(rules: readonly Rule[], study: StudyInput): { evaluations: Evaluation[]; wanted: Wanted[] | undefined } {
  const evaluations: Evaluation[] = [];
  const wanted = new Map<AnalysisName, Wanted>();
  let ended: string | undefined;
  for (const rule of rules) {
    const evaluation = ended === undefined || !rule.enabled ? evaluateRule(rule, study) : { rule, outcome: 'not-reached' as const, why: `The rule "${ended}" matched and is the last one.`, checks: [], seriesInstanceUids: [] };
    evaluations.push(evaluation);
    if (evaluation.outcome !== 'matched') continue;
    for (const { analysis, model, priority } of rule.plan) if (!wanted.has(analysis)) wanted.set(analysis, { analysis, model, priority, ruleId: rule.id });
    if (rule.last) ended = rule.name;
  }
  return { evaluations, wanted: rules.some(({ enabled }) => enabled) ? [...wanted.values()] : undefined };
}

function evaluateRule(rule: Rule, { series: all }: StudyInput): Evaluation {
  const conditions = namesOf(rule);
  const checks = conditions.map((condition) => ({
    condition,
    met: all.some((series) => meets(series, rule, condition)),
    found: [...new Set(all.flatMap((series) => valuesOf(series, condition)))].slice(0, 20),
  }));
  const seriesInstanceUids = all.filter((series) => conditions.every((condition) => meets(series, rule, condition))).map(({ seriesInstanceUid }) => seriesInstanceUid);
  const about = { rule, checks, seriesInstanceUids };
  if (!rule.enabled) return { ...about, outcome: 'disabled', why: 'The rule is disabled.' };
  if (conditions.length === 0) return { ...about, outcome: 'matched', why: 'The rule has no conditions: it matches every study.' };
  if (seriesInstanceUids.length > 0) return { ...about, outcome: 'matched', why: `${countOf(seriesInstanceUids.length)} every condition.` };
  const unmet = checks.filter(({ met }) => !met).map(({ condition }) => condition);
  return { ...about, outcome: 'not-matched', why: unmet.length > 0 ? `No series meets: ${unmet.join(', ')}.` : 'Each condition is met by some series, but no series meets all of them.' };
}

function namesOf({ conditions }: Rule): ConditionName[] {
  // Of a strict schema: there are no other keys.
  return (Object.keys(conditions) as ConditionName[]).filter((name) => conditions[name] !== undefined);
}

function meets(series: Series, { conditions }: Rule, name: ConditionName): boolean {
  const values = valuesOf(series, name);
  return conditions[name]?.some((pattern) => values.some((value) => matchesPattern(pattern, value))) ?? true;
}

/** Of the first instance: what rules ask for is the same in all instances of a series. @see PS3.3 A.1.2 */
function valuesOf({ modality, instances: [first] }: Series, name: ConditionName): string[] {
  if (name === 'modalities' && modality !== null) return [modality];
  const attributes = first?.attributes ?? {};
  return TAGS[name].flatMap((tag) => { const values = strings(attributes, tag); return values.length > 0 ? values : [text(attributes, tag) ?? ''].filter((value) => value !== ''); });
}

function countOf(series: number): string {
  return series === 1 ? 'One series meets' : `${String(series)} series meet`;
}
