import { isSaidInCode, labelsOf } from './metric-catalog.js';
import { rules } from './monitoring-files.js';
import { parsePromql } from './promql.js';

/** What Prometheus knows of whatever it scrapes. */
const OF_TARGETS = ['job', 'instance', 'namespace'];
/** Labels whose values are words of the code. */
const WORDS = new Set(['outcome', 'kind', 'reason', 'state', 'limit', 'grant', 'queue', 'class', 'priority']);

/** Labels that samples of a metric, or of what a rule records, may have. */
function labelsOfSample(name: string): readonly string[] | undefined {
  const rule = rules().find(({ record }) => record === name);
  return rule ? labelsOfExpression(rule.expr) : labelsOf(name);
}

/** At most: what it groups by, or else whatever its metrics have and it does not drop. */
function labelsOfExpression(expr: string): string[] {
  const { selectors, groupings, dropped } = parsePromql(expr);
  return groupings.length > 0 ? groupings : selectors.flatMap(({ metric }) => labelsOfSample(metric) ?? []).filter((label) => !dropped.includes(label));
}

/** What in an expression nothing in the code stands behind. */
export function strangers(expr: string, said: readonly string[] = []): string[] {
  const { selectors, groupings, dropped } = parsePromql(expr);
  const known = new Set([...OF_TARGETS, ...selectors.flatMap(({ metric }) => labelsOfSample(metric) ?? [])]);
  return [
    ...selectors.flatMap(({ metric, matchers }) => {
      const labels = labelsOfSample(metric);
      if (!labels) return [`nothing registers ${metric}`];
      const words = matchers.filter(({ label }) => WORDS.has(label)).flatMap(({ label, value }) => value.split('|').map((word) => ({ label, word })));
      return [
        ...matchers.filter(({ label }) => ![...OF_TARGETS, ...labels].includes(label)).map(({ label }) => `${metric} has no label ${label}`),
        ...words.filter(({ word }) => !isSaidInCode(word)).map(({ label, word }) => `nothing gives ${metric} the ${label} "${word}"`),
      ];
    }),
    ...[...groupings, ...dropped, ...said].filter((label) => !known.has(label)).map((label) => `no metric has the label ${label}: ${expr}`),
  ];
}
