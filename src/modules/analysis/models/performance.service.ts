import { Injectable } from '@nestjs/common';
import { agreementOf, type Agreement } from '../../../imaging/report/agreement.js';
import { labelReviews, reviewFigures, seriesOf, type LabelReview, type ReviewFigures, type Series } from '../../../imaging/report/review-figures.js';
import { AppError } from '../../../kernel/errors.js';
import type { Scope } from '../../../platform/database/database.js';
import { ReviewedResults, ShadowResults, type ComparableResult } from '../../results/results.contract.js';
import { CLINICAL, SHADOW } from '../runs.store.js';
import { bySemver } from './models.service.js';
import { ModelsStore } from './models.store.js';
import { PerformanceStore, type RunPair, type StageTimes, type StatusCount, type Window } from './performance.store.js';

/** Runs of one kind: those for people, or those in the shadow. */
export interface RunFigures {
  runs: Record<string, number>;
  latencyMs: Record<string, { runs: number; p50: number; p95: number }>;
}

export interface VersionFigures {
  version: string;
  digest: string;
  /** null when the model has been replaced by other content of this version. */
  state: string | null;
  clinical: RunFigures;
  shadow: RunFigures;
  /** Of the newest results. */
  positiveRates: { label: string; results: number; positive: number; rate: number }[];
  findingsPerResult: number | null;
  /** Of the newest results too. */
  reviews: ReviewFigures & { labels: LabelReview[] };
  series: Series[];
}

export interface Comparison {
  active: { name: string; version: string; digest: string };
  shadow: { name: string; version: string; digest: string };
  agreement: Agreement;
}

export interface PerformanceFigures {
  versions: VersionFigures[];
  comparisons: Comparison[];
}

/** How a model does in this installation: what became of its runs, how long they took, what they found, and how models side by side agree. */
@Injectable()
export class ModelPerformance {
  constructor(
    private readonly models: ModelsStore,
    private readonly store: PerformanceStore,
    private readonly results: ShadowResults,
    private readonly reviewed: ReviewedResults,
  ) {}

  /** @throws AppError `model-not-found` */
  async of(scope: Scope, name: string, window: Window, bucket: 'day' | 'week'): Promise<PerformanceFigures> {
    const rows = await this.models.versions(name);
    if (rows.length === 0) throw new AppError('model-not-found');
    const [counts, times, succeeded, pairs] = await Promise.all([this.store.counts(scope, name, window), this.store.times(scope, name, window), this.store.succeeded(scope, name, window), this.store.pairs(scope, name, window)]);
    const results = await this.results.compared(scope, [...new Set([...succeeded.map(({ id }) => id), ...pairs.flatMap(({ activeId, shadowId }) => [activeId, shadowId])])]);
    const facts = await this.reviewed.facts(scope, succeeded.map(({ id }) => id));
    const known = new Map([...rows, ...counts].map(({ version, digest }) => [`${version} ${digest}`, { version, digest }]));
    const versions = [...known.values()].sort((a, b) => bySemver(b.version, a.version)).map(({ version, digest }) => {
      const concluded = succeeded.filter((run) => run.digest === digest).flatMap(({ id }) => results.get(id) ?? []);
      const own = succeeded.filter((run) => run.digest === digest).flatMap(({ id }) => facts.get(id) ?? []);
      const of = <Row extends { digest: string }>(list: readonly Row[]): Row[] => list.filter((row) => row.digest === digest);
      return {
        version, digest, state: rows.find((row) => row.digest === digest)?.state ?? null,
        clinical: figuresOf(of(counts), of(times), (purpose) => purpose === CLINICAL), shadow: figuresOf(of(counts), of(times), (purpose) => purpose === SHADOW),
        positiveRates: positiveRates(concluded), findingsPerResult: concluded.length === 0 ? null : concluded.reduce((sum, { findings }) => sum + findings.length, 0) / concluded.length,
        reviews: { ...reviewFigures(own), labels: labelReviews(own) }, series: seriesOf(own, bucket),
      };
    });
    return { versions, comparisons: comparisonsOf(pairs, results) };
  }
}

function figuresOf(counts: readonly StatusCount[], times: readonly StageTimes[], isOfKind: (purpose: string) => boolean): RunFigures {
  const runs: Record<string, number> = {};
  for (const { purpose, status, runs: count } of counts) if (isOfKind(purpose)) runs[status] = (runs[status] ?? 0) + count;
  const latencyMs: RunFigures['latencyMs'] = {};
  for (const { purpose, stage, runs: count, p50, p95 } of times) if (isOfKind(purpose) && count > (latencyMs[stage]?.runs ?? 0)) latencyMs[stage] = { runs: count, p50, p95 };
  return { runs, latencyMs };
}

function positiveRates(concluded: readonly ComparableResult[]): VersionFigures['positiveRates'] {
  const tally = new Map<string, { results: number; positive: number }>();
  for (const { name, positive } of concluded.flatMap(({ labels }) => labels)) {
    const { results, positive: before } = tally.get(name) ?? { results: 0, positive: 0 };
    tally.set(name, { results: results + 1, positive: before + (positive ? 1 : 0) });
  }
  return [...tally].map(([label, { results, positive }]) => ({ label, results, positive, rate: positive / results }));
}

function comparisonsOf(pairs: readonly RunPair[], results: ReadonlyMap<string, ComparableResult>): Comparison[] {
  const groups = new Map<string, RunPair[]>();
  for (const pair of pairs) {
    const key = `${pair.activeDigest} ${pair.shadowDigest}`;
    groups.set(key, [...(groups.get(key) ?? []), pair]);
  }
  return [...groups.values()].flatMap((group) => {
    const [one] = group;
    if (!one) return [];
    const both = group.flatMap(({ activeId, shadowId }) => {
      const [first, second] = [results.get(activeId), results.get(shadowId)];
      return first && second ? [{ first, second }] : [];
    });
    return [{
      active: { name: one.activeName, version: one.activeVersion, digest: one.activeDigest },
      shadow: { name: one.shadowName, version: one.shadowVersion, digest: one.shadowDigest },
      agreement: agreementOf(both),
    }];
  });
}
