import { z } from 'zod';
import { SAME_NODULE_MM } from './agreement.js';
import type { Finding, Label, Provenance, Segment } from './finding.js';

/** One computation of an analysis. */
export interface Computation {
  findings: readonly Finding[];
  labels: readonly Label[];
  segments: readonly Segment[];
  provenance: Pick<Provenance, 'inputDigest' | 'software' | 'executionProvider' | 'model'>;
}

const change = z.object({ original: z.string(), again: z.string() });

export const comparisonSchema = z
  .object({
    inputDigest: change.nullable().meta({ description: 'null: the same images' }),
    software: change.nullable(),
    executionProvider: change.nullable(),
    findings: z.object({
      original: z.int(), again: z.int(), matched: z.int().meta({ description: `Of the same kind, with centres within ${String(SAME_NODULE_MM)} mm` }),
      missing: z.array(z.uuid()).meta({ description: 'Findings of the result that did not come again' }), additional: z.int(),
      maxScoreDifference: z.number(), maxDistanceMm: z.number(),
      measurements: z.array(z.object({ name: z.string(), unit: z.string(), maxDifference: z.number() })).meta({ description: 'Of matched findings, where they differ' }),
    }),
    labels: z.object({ maxProbabilityDifference: z.number(), changed: z.array(z.object({ name: z.string(), original: z.number().nullable(), again: z.number().nullable() })) }),
    segments: z.object({ maxVolumeDifferenceMl: z.number(), changed: z.array(z.object({ name: z.string(), originalMl: z.number().nullable(), againMl: z.number().nullable() })) }),
  })
  .meta({ id: 'ReproductionComparison', description: 'What differs; differences are absolute' });
export type Comparison = z.infer<typeof comparisonSchema>;

/**
 * Compares two computations of the same model on what should be the same images. `identical`: the images and, to the last digit, all findings but for
 * their ids, all labels and all segments are the same; the software and what it ran on may be others.
 */
export function compareComputations(original: Computation, again: Computation): { outcome: 'identical' | 'different'; comparison: Comparison } {
  const comparison: Comparison = {
    inputDigest: changed(original.provenance.inputDigest, again.provenance.inputDigest),
    software: changed(original.provenance.software, again.provenance.software),
    executionProvider: changed(original.provenance.executionProvider, again.provenance.executionProvider),
    findings: compareFindings(original.findings, again.findings),
    labels: compareLabels(original.labels, again.labels),
    segments: compareSegments(original.segments, again.segments),
  };
  const isIdentical = comparison.inputDigest === null && sameText(original) === sameText(again);
  return { outcome: isIdentical ? 'identical' : 'different', comparison };
}

function sameText({ findings, labels, segments }: Computation): string {
  return JSON.stringify(sorted({ findings: findings.map(({ id: _, ...rest }) => rest), labels, segments }));
}

/** PostgreSQL keeps JSON in an order of its own. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined).sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, member]) => [name, sorted(member)]));
}

function changed(original: string, again: string): { original: string; again: string } | null {
  return original === again ? null : { original, again };
}

function compareFindings(original: readonly Finding[], again: readonly Finding[]): Comparison['findings'] {
  const pairs = matched(original, again);
  const differences = new Map<string, Comparison['findings']['measurements'][number]>();
  for (const { one, other } of pairs) {
    for (const { name, unit, value } of one.measurements) {
      const maxDifference = Math.abs((other.measurements.find((measurement) => measurement.name === name)?.value ?? 0) - value);
      if (maxDifference > (differences.get(name)?.maxDifference ?? 0)) differences.set(name, { name, unit, maxDifference });
    }
  }
  return {
    original: original.length, again: again.length, matched: pairs.length,
    missing: original.filter((one) => !pairs.some((pair) => pair.one === one)).map(({ id }) => id), additional: again.length - pairs.length,
    maxScoreDifference: largest(pairs.map(({ one, other }) => Math.abs(other.score - one.score))),
    maxDistanceMm: largest(pairs.map(({ one, other }) => distanceMm(one, other))),
    measurements: [...differences.values()],
  };
}

/** One to one, the nearest first; findings without a centre in their order. */
function matched(original: readonly Finding[], again: readonly Finding[]): { one: Finding; other: Finding }[] {
  const candidates = original.flatMap((one) => again.filter((other) => other.kind === one.kind && other.code.value === one.code.value && distanceMm(one, other) <= SAME_NODULE_MM).map((other) => ({ one, other })));
  const [takenOnes, takenOthers] = [new Set<Finding>(), new Set<Finding>()];
  return candidates.sort((a, b) => distanceMm(a.one, a.other) - distanceMm(b.one, b.other)).filter(({ one, other }) => {
    if (takenOnes.has(one) || takenOthers.has(other)) return false;
    takenOnes.add(one);
    takenOthers.add(other);
    return true;
  });
}

/** 0 when neither has a centre. */
function distanceMm({ location: a }: Finding, { location: b }: Finding): number {
  if (!a?.center && !b?.center) return 0;
  if (!a?.center || !b?.center) return Infinity;
  return Math.hypot(a.center[0] - b.center[0], a.center[1] - b.center[1], a.center[2] - b.center[2]);
}

function compareLabels(original: readonly Label[], again: readonly Label[]): Comparison['labels'] {
  const pairs = namesOf(original, again).map((name) => ({ name, original: original.find((label) => label.name === name)?.probability ?? null, again: again.find((label) => label.name === name)?.probability ?? null }));
  return { maxProbabilityDifference: largest(pairs.map((pair) => Math.abs((pair.again ?? 0) - (pair.original ?? 0)))), changed: pairs.filter((pair) => pair.original !== pair.again) };
}

function compareSegments(original: readonly Segment[], again: readonly Segment[]): Comparison['segments'] {
  const pairs = namesOf(original, again).map((name) => ({ name, originalMl: original.find((segment) => segment.name === name)?.volumeMl ?? null, againMl: again.find((segment) => segment.name === name)?.volumeMl ?? null }));
  return { maxVolumeDifferenceMl: largest(pairs.map((pair) => Math.abs((pair.againMl ?? 0) - (pair.originalMl ?? 0)))), changed: pairs.filter((pair) => pair.originalMl !== pair.againMl) };
}

function namesOf(...lists: readonly (readonly { name: string }[])[]): string[] {
  return [...new Set(lists.flat().map(({ name }) => name))];
}

function largest(values: readonly number[]): number {
  return values.reduce((most, value) => Math.max(most, value), 0);
}
