import { Injectable } from '@nestjs/common';
import type { Language } from '../../kernel/errors.js';
import type { Transaction } from '../../kernel/transaction.js';
import { findingsJson, resultSummary } from './findings-json.js';
import { StudyResults, type ResultLine } from './results.contract.js';
import { ResultsStore } from './results.store.js';

const PAGE_SIZE = 100;

/** What the analysis sees of the results of studies. */
@Injectable()
export class StoredStudyResults extends StudyResults {
  constructor(private readonly store: ResultsStore) {
    super();
  }

  async *ofStudy(institutionId: string, studyInstanceUid: string, language: Language): AsyncGenerator<object> {
    for (let cursor: string | undefined; ;) {
      const page = await this.store.list(institutionId, { studyInstanceUid }, PAGE_SIZE, cursor);
      for (const record of page) yield findingsJson(record, language);
      cursor = page.at(-1)?.id;
      if (cursor === undefined || page.length < PAGE_SIZE) return;
    }
  }

  async linesOf(institutionId: string, studyIds: readonly string[], language: Language): Promise<ResultLine[]> {
    const rows = await this.store.newestOf(institutionId, studyIds);
    return rows.map(({ id, studyId, analysisId, analysis, status, summary: { critical }, ...content }) => ({
      id, studyId, analysisId, analysis, status,
      critical: critical && status !== 'withheld',
      summary: status === 'withheld' ? null : resultSummary({ analysis, ...content }, language),
    }));
  }

  lock(tx: Transaction, institutionId: string, resultId: string): Promise<boolean> {
    return this.store.lock(tx, institutionId, resultId);
  }

  async removeOfStudies(tx: Transaction, institutionId: string, studyIds: readonly string[]): Promise<number> {
    let removed = 0;
    for (const studyId of studyIds) removed += await this.store.deleteOfStudy(tx, institutionId, studyId);
    return removed;
  }
}
