import { Injectable } from '@nestjs/common';
import type { DerivedFault } from '../../imaging/report/derived.js';
import { compareComputations } from '../../imaging/report/reproduction.js';
import type { Transaction } from '../../kernel/transaction.js';
import { ResultWriter, ShadowResults, StudyResults, type NewResult, type NewShadowResult } from '../results/results.contract.js';
import { ReproductionsStore } from './reproduce/reproductions.store.js';
import { REPRODUCE, SHADOW, type RunRow } from './runs.store.js';

/** What a run found, ready for the transaction that ends it. */
export interface PreparedOutcome {
  /** Of a result that people see. */
  resultId: string | undefined;
  /** @returns why the result is withheld, if it is */
  store: (tx: Transaction) => Promise<readonly DerivedFault[]>;
}

/** Where goes what a run found: before people, beside the active model's, or against the result that it computed again. */
@Injectable()
export class RunOutcomes {
  constructor(
    private readonly results: ResultWriter,
    private readonly shadows: ShadowResults,
    private readonly studyResults: StudyResults,
    private readonly reproductions: ReproductionsStore,
  ) {}

  /** @throws AppError of the blob store */
  async prepare(run: RunRow, result: NewResult): Promise<PreparedOutcome> {
    // Nobody looks at what a model in the shadow found, or at what was computed again, so they have no pictures.
    if (run.purpose === SHADOW) return { resultId: undefined, store: unseen((tx) => this.shadows.add(tx, shadowOf(run, result))) };
    if (run.purpose.startsWith(REPRODUCE)) return this.reproduction(run, result);
    const prepared = await this.results.prepare(result);
    return { resultId: prepared.id, store: (tx) => this.results.commit(tx, prepared) };
  }

  private async reproduction({ institutionId, id }: RunRow, result: NewResult): Promise<PreparedOutcome> {
    const resultId = await this.reproductions.resultOf(institutionId, id);
    const original = resultId === undefined ? null : await this.studyResults.original(institutionId, resultId);
    // Retention may have taken the result meanwhile, and with it whatever there was to compare.
    if (!original) return { resultId: undefined, store: unseen(() => Promise.resolve()) };
    const compared = compareComputations(original, result);
    return { resultId: undefined, store: unseen((tx) => this.reproductions.conclude(tx, institutionId, id, compared)) };
  }
}

/** What no person sees has nothing to withhold. */
function unseen(store: (tx: Transaction) => Promise<void>): PreparedOutcome['store'] {
  return async (tx) => {
    await store(tx);
    return [];
  };
}

function shadowOf({ modelDigest }: RunRow, { institutionId, analysisId, studyId, studyInstanceUid, analysis, summary, findings, labels, segments }: NewResult): NewShadowResult {
  return { institutionId, analysisId, studyId, studyInstanceUid, analysis, modelDigest, summary, findings, labels, segments };
}
