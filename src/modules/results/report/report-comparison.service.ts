import { Injectable } from '@nestjs/common';
import { composeComparison } from '../../../imaging/report/compose-comparison.js';
import { COMPARISON_TEXTS } from '../../../imaging/report/comparison-report-texts.js';
import type { ReportComparison, ReportPicture } from '../../../imaging/report/document.js';
import type { Language } from '../../../kernel/errors.js';
import { ComparisonService, daysBetween } from '../comparison/comparison.service.js';
import { TrendService } from '../comparison/trend.service.js';
import type { ResultRecord } from '../results.store.js';

/** What a report may wait for images to be aligned; it says so where that takes longer, and the next report has it. */
const PATIENCE_MS = 700;

/** The section of a report about the study before. */
export interface ReportedComparison {
  /** Distinguishes what it says. */
  key: string;
  /** @param picture  how the findings developed, once it is drawn */
  compose(picture: ReportPicture | undefined): ReportComparison;
  /** undefined when there is nothing to draw. */
  draw(): Promise<ReportPicture | undefined>;
  /** Earlier studies that it tells of. */
  studyInstanceUids: readonly string[];
}

/** Comparisons as reports have them: of what is known, or is known soon. */
@Injectable()
export class ReportComparisonService {
  constructor(
    private readonly comparisons: ComparisonService,
    private readonly trends: TrendService,
  ) {}

  /** undefined without an earlier study. @throws AppError `study-not-found` when the study was deleted a moment ago */
  async of(record: ResultRecord, language: Language): Promise<ReportedComparison | undefined> {
    const history = await this.comparisons.history(record);
    const [prior, current] = history.slice(-2);
    if (!prior || !current) return undefined;
    const compared = await this.comparisons.within(current, prior, PATIENCE_MS);
    const trend = compared ? await this.trends.known(history, language) : undefined;
    const studies = {
      analysis: record.analysis, priorAt: prior.at, days: daysBetween(prior, current), sameModel: record.provenance.model.digest === prior.record.provenance.model.digest,
      current: record, prior: prior.record, isAligned: compared !== null && compared.alignment.method !== 'none', comparison: compared?.comparison ?? null,
    };
    const compose = (picture: ReportPicture | undefined): ReportComparison => composeComparison(studies, picture, language);
    return {
      key: JSON.stringify([compose(undefined), trend?.chart]),
      compose,
      draw: async () => trend && { bytes: await trend.draw(), caption: COMPARISON_TEXTS[language].trend },
      studyInstanceUids: (trend ? history.slice(0, -1) : [prior]).map(({ record: { studyInstanceUid } }) => studyInstanceUid),
    };
  }
}
