import { Inject, Injectable } from '@nestjs/common';
import { Gauge } from 'prom-client';
import { LOGGER, type Logger } from '../../../platform/ops/logger.js';
import { Metrics } from '../../../platform/ops/metrics.js';
import { soon } from '../../../platform/ops/soon.js';
import { ANALYSIS_NAMES } from '../../../imaging/model/manifest.js';
import { ModelsStore, type ModelRow } from './models.store.js';
import { ModelPerformance, type VersionFigures } from './performance.service.js';

const WINDOW_MS = 30 * 86_400_000;
/** Figures of a month do not change within minutes, however often they are asked for. */
const KEPT_MS = 300_000;

const RATES = {
  healthvision_model_accept_rate: ['Share of findings that persons let stand, of the last 30 days', 'acceptRate'],
  healthvision_model_false_positives_per_study: ['Findings that persons reject as wrong by reviewed studies, of the last 30 days', 'falsePositivesPerStudy'],
  healthvision_model_missed_per_study: ['Findings that persons add by reviewed studies, of the last 30 days', 'missedPerStudy'],
  healthvision_model_label_disagreement_rate: ['Share of judged labels that persons disagree with, of the last 30 days', 'labelDisagreementRate'],
} as const;

/** How active models do, for Prometheus: over all institutions, worked out when somebody looks. Groups are bounded as in the API. */
@Injectable()
export class ModelPerformanceMetrics {
  private readonly rates: Gauge[];
  private readonly psi: Gauge;
  private readonly shift: Gauge;
  private current: { until: number; done: Promise<void> } | undefined;

  constructor(
    private readonly models: ModelsStore,
    private readonly performance: ModelPerformance,
    { registry }: Metrics,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    // A scrape that would have to wait has the figures of before.
    const collect = async (): Promise<void> => { await soon(this.refresh()); };
    this.rates = Object.entries(RATES).map(([name, [help]]) => new Gauge({ name, help, labelNames: ['model', 'version'], registers: [registry], collect }));
    this.psi = new Gauge({ name: 'healthvision_model_score_psi', help: 'Population stability index of top scores of the newest week against those before, of the last 30 days', labelNames: ['model', 'version', 'by', 'group'], registers: [registry], collect });
    this.shift = new Gauge({ name: 'healthvision_model_input_shift', help: 'How far the mean of an input of the newest week is from that before, in standard deviations, of the last 30 days', labelNames: ['model', 'version', 'by', 'group', 'input'], registers: [registry], collect });
  }

  /** All gauges are collected together; one of them asks. A database that is away leaves the figures as they were. */
  private refresh(): Promise<void> {
    if (this.current && this.current.until > Date.now()) return this.current.done;
    const done = this.measure().catch((err: unknown) => { this.logger.debug({ err }, 'the figures of models could not be read'); });
    this.current = { until: Date.now() + KEPT_MS, done };
    return done;
  }

  private async measure(): Promise<void> {
    const active = await this.models.inState(ANALYSIS_NAMES, 'active');
    const to = new Date();
    const measured: { model: ModelRow; figures: VersionFigures }[] = [];
    for (const model of active) {
      const { versions } = await this.performance.of('system', model.name, { from: new Date(to.getTime() - WINDOW_MS), to }, 'week');
      const figures = versions.find(({ digest }) => digest === model.digest);
      if (figures) measured.push({ model, figures });
    }
    for (const gauge of [...this.rates, this.psi, this.shift]) gauge.reset();
    for (const { model: { name: model, version }, figures } of measured) this.show({ model, version }, figures);
  }

  private show(names: { model: string; version: string }, { reviews, series }: VersionFigures): void {
    for (const [index, [, figure]] of Object.values(RATES).entries()) {
      const value = reviews[figure];
      if (value !== null) this.rates[index]?.set(names, value);
    }
    for (const { by, group, buckets } of series) {
      const newest = buckets.at(-1);
      if (newest?.scorePsi != null) this.psi.set({ ...names, by, group }, newest.scorePsi);
      for (const { name: input, shift } of newest?.inputs ?? []) if (shift !== null) this.shift.set({ ...names, by, group, input }, shift);
    }
  }
}
