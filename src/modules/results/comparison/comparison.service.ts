import { Injectable } from '@nestjs/common';
import { compareResults, type Comparable, type Comparison } from '../../../imaging/report/comparison.js';
import { AppError } from '../../../kernel/errors.js';
import { StudyReader } from '../../images/images.contract.js';
import { ResultsStore, type ResultRecord } from '../results.store.js';
import { AlignmentService } from './alignment.service.js';
import type { StoredAlignment } from './alignment.store.js';

/** A result with the date of its study. */
export interface DatedResult {
  record: ResultRecord;
  at: Date;
}

export interface ComparedResults {
  current: DatedResult;
  prior: DatedResult;
  days: number;
  alignment: StoredAlignment;
  comparison: Comparison;
}

/** With all that could have been compared, oldest first, and the result itself. */
export type ComparedInHistory = ComparedResults & { history: DatedResult[] };

const DAY_MS = 86_400_000;

/** What became of a patient's findings between two studies. */
@Injectable()
export class ComparisonService {
  constructor(
    private readonly store: ResultsStore,
    private readonly studies: StudyReader,
    private readonly alignments: AlignmentService,
  ) {}

  /** Results of the same analysis of earlier studies of the patient, oldest first, then the result itself. */
  async history(record: ResultRecord): Promise<DatedResult[]> {
    const studies = await this.studies.ofSamePatient(record.institutionId, record.studyInstanceUid);
    const own = studies.findIndex(({ studyInstanceUid }) => studyInstanceUid === record.studyInstanceUid);
    if (own < 0) throw new AppError('study-not-found');
    const earlier = studies.slice(0, own);
    const results = new Map((await this.store.newestOfStudies(record.institutionId, record.analysis, earlier.map(({ studyInstanceUid }) => studyInstanceUid))).map((one) => [one.studyInstanceUid, one]));
    const dated = earlier.flatMap(({ studyInstanceUid, at }) => { const prior = results.get(studyInstanceUid); return prior ? [{ record: prior, at }] : []; });
    return [...dated, { record, at: studies[own]?.at ?? record.createdAt }];
  }

  /**
   * @param withId  the earlier result; without it that of the study before
   * @throws AppError `no-prior-result`, `results-not-comparable`; those of `AlignmentService`
   */
  async compare(record: ResultRecord, withId: string | undefined): Promise<ComparedInHistory> {
    const history = await this.history(record);
    const current = history.at(-1) ?? { record, at: record.createdAt };
    const prior = withId === undefined ? history.at(-2) : await this.named(current, withId);
    if (!prior) throw new AppError('no-prior-result');
    return { ...(await this.between(current, prior)), history };
  }

  /** Two of one history. @throws those of `AlignmentService` */
  async between(current: DatedResult, prior: DatedResult): Promise<ComparedResults> {
    return compared(current, prior, await this.alignments.of(current.record, prior.record));
  }

  /** With the study before, as far as the images can be aligned in some time; null when they cannot. */
  async within(current: DatedResult, prior: DatedResult, patienceMs: number): Promise<ComparedResults | null> {
    const alignment = await this.alignments.within(current.record, prior.record, patienceMs);
    return alignment && compared(current, prior, alignment);
  }

  /** As far as it was aligned before; null when it was not. */
  async known(current: DatedResult, prior: DatedResult): Promise<ComparedResults | null> {
    const alignment = await this.alignments.known(current.record, prior.record);
    return alignment && compared(current, prior, alignment);
  }

  private async named({ record }: DatedResult, id: string): Promise<DatedResult> {
    const other = id === record.id ? null : await this.store.find(record.institutionId, id);
    if (!other || other.status === 'withheld') throw new AppError('results-not-comparable', { detail: 'There is no other result with this id.' });
    // Oldest first.
    const studies = await this.studies.ofSamePatient(record.institutionId, record.studyInstanceUid);
    const [own, at] = [record, other].map((one) => studies.findIndex(({ studyInstanceUid }) => studyInstanceUid === one.studyInstanceUid));
    const study = studies[at ?? -1];
    if (!study || other.analysis !== record.analysis) throw new AppError('results-not-comparable', { detail: 'The other result is of another patient or another analysis.' });
    if ((at ?? 0) > (own ?? 0)) throw new AppError('results-not-comparable', { detail: 'The other result is of a later study.' });
    return { record: other, at: study.at };
  }
}

function compared(current: DatedResult, prior: DatedResult, alignment: StoredAlignment): ComparedResults {
  const days = daysBetween(prior, current);
  // Places that cannot be set against each other prove neither what is new nor what is gone.
  const comparable = (one: ResultRecord): Comparable => (alignment.method === 'none' ? { ...one, findings: [] } : one);
  return { current, prior, days, alignment, comparison: compareResults(comparable(prior.record), comparable(current.record), { toPrior: alignment.toPrior, days }) };
}

export function daysBetween(prior: Pick<DatedResult, 'at'>, current: Pick<DatedResult, 'at'>): number {
  return Math.round((current.at.getTime() - prior.at.getTime()) / DAY_MS);
}
