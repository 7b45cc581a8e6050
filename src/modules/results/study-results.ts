import { Injectable } from '@nestjs/common';
import { warningsOf } from '../../imaging/report/warnings.js';
import { AppError, type Language } from '../../kernel/errors.js';
import type { RowCondition, Transaction } from '../../kernel/transaction.js';
import { findingsJson, resultSummary } from './findings-json.js';
import { StudyResults, type OriginalResult, type ResultLine } from './results.contract.js';
import { ResultsStore, type ResultRecord } from './results.store.js';
import { fullVersionJson } from './review/review-json.js';
import { ResultVersionsStore } from './review/versions.store.js';
import { ReviewWords, type Words } from './review/words.service.js';

const PAGE_SIZE = 100;

/** What the analysis sees of the results of studies. */
@Injectable()
export class StoredStudyResults extends StudyResults {
  constructor(
    private readonly store: ResultsStore,
    private readonly versions: ResultVersionsStore,
    private readonly words: ReviewWords,
  ) {
    super();
  }

  async *ofStudy(institutionId: string, studyInstanceUid: string, language: Language): AsyncGenerator<object> {
    for (let cursor: string | undefined; ;) {
      const page = await this.store.list(institutionId, { studyInstanceUid }, PAGE_SIZE, cursor);
      for (const record of page) yield { ...findingsJson(record, language), ...(record.review && { versions: await this.versionsOf(record) }) };
      cursor = page.at(-1)?.id;
      if (cursor === undefined || page.length < PAGE_SIZE) return;
    }
  }

  /** All of them, with what was said in words; without it when its key was destroyed. */
  private async versionsOf({ institutionId, id, studyInstanceUid }: ResultRecord): Promise<object[]> {
    const told: object[] = [];
    for (let cursor: string | undefined; ;) {
      const page = await this.versions.list(institutionId, id, PAGE_SIZE, cursor);
      for (const version of page) told.push(fullVersionJson(version, await this.words.open(version.sealed, { institutionId, studyInstanceUid, resultId: id, version: version.version }).catch(withoutWords)));
      cursor = page.at(-1)?.id;
      if (cursor === undefined || page.length < PAGE_SIZE) return told;
    }
  }

  original(institutionId: string, resultId: string): Promise<OriginalResult | null> {
    return this.store.original(institutionId, resultId);
  }

  async linesOf(institutionId: string, studyIds: readonly string[], language: Language): Promise<ResultLine[]> {
    const rows = await this.store.newestOf(institutionId, studyIds);
    return rows.map(({ id, studyId, analysisId, analysis, status, summary: { critical }, outOfDistribution, ...content }) => ({
      id, studyId, analysisId, analysis, status,
      critical: critical && status !== 'withheld',
      warnings: status === 'withheld' ? [] : warningsOf({ outOfDistribution: outOfDistribution ?? undefined }, language),
      summary: status === 'withheld' ? null : resultSummary({ analysis, ...content }, language),
    }));
  }

  lock(tx: Transaction, institutionId: string, resultId: string): Promise<boolean> {
    return this.store.lock(tx, institutionId, resultId);
  }

  whileKept(institutionId: string, resultId: string): RowCondition {
    return this.store.whileKept(institutionId, resultId);
  }

  async removeOfStudies(tx: Transaction, institutionId: string, studyIds: readonly string[]): Promise<number> {
    let removed = 0;
    for (const studyId of studyIds) removed += await this.store.deleteOfStudy(tx, institutionId, studyId);
    return removed;
  }
}

function withoutWords(error: unknown): Words {
  if (error instanceof AppError && error.code === 'key-destroyed') return {};
  throw error;
}
