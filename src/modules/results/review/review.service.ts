import { Injectable } from '@nestjs/common';
import { Counter } from 'prom-client';
import { decide, letStand, outcomeOf, REVIEW_OUTCOMES, type Decision, type Deciding, type FramesOf, type ReviewOutcome } from '../../../imaging/report/review.js';
import { ANALYSIS_NAMES } from '../../../imaging/model/manifest.js';
import { AppError } from '../../../kernel/errors.js';
import type { Transaction } from '../../../kernel/transaction.js';
import { uuidv7 } from '../../../kernel/uid.js';
import { Database } from '../../../platform/database/database.js';
import { requireSeen } from '../../../platform/http/if-match.js';
import { Metrics } from '../../../platform/ops/metrics.js';
import { Outbox } from '../../../platform/queue/outbox.js';
import { StudyReader } from '../../images/images.contract.js';
import { DeliveriesStore } from '../destinations/deliveries.store.js';
import { etagsOf } from '../findings-json.js';
import { outputDigestOf, SIGN_OFF_STATEMENT } from '../provenance/signed-statement.js';
import { StatementSigner } from '../provenance/statement-signer.js';
import { RESULT_REVIEWED, type ResultReviewed } from '../results.contract.js';
import { ResultsStore, type OriginalContent, type ResultRecord, type ResultStatus, type ReviewState } from '../results.store.js';
import { ResultVersionsStore, type StoredSignature } from './versions.store.js';
import { apart, ReviewWords, type Words } from './words.service.js';

/** Of one result. */
const MOST_VERSIONS = 500;

/** A person who reviews or signs. */
export interface Reviewer {
  institutionId: string;
  userId: string;
  name: string;
}

/** What a change makes of a result. */
interface Change {
  kind: ReviewState['kind'];
  status: ResultStatus;
  content: OriginalContent;
  decisions: readonly object[];
  words: Words;
  signOff: { meaning: string; proof: 'password' | 'second-factor' } | null;
}

const SIGNED: readonly ResultStatus[] = ['final', 'amended'];

/** Results change here only: one after the other, by somebody who has seen what they change, into a version that stays. */
@Injectable()
export class ReviewService {
  private readonly counter: Counter;

  constructor(
    private readonly database: Database,
    private readonly results: ResultsStore,
    private readonly versions: ResultVersionsStore,
    private readonly studies: StudyReader,
    private readonly words: ReviewWords,
    private readonly signer: StatementSigner,
    private readonly outbox: Outbox,
    private readonly deliveries: DeliveriesStore,
    { registry }: Metrics,
  ) {
    this.counter = new Counter({ name: 'healthvision_reviews_total', help: 'Reviews, and sign-offs without a review before, by what they say to what the model found: agreed, corrected, rejected', labelNames: ['analysis', 'outcome'], registers: [registry] });
    for (const analysis of ANALYSIS_NAMES) for (const outcome of REVIEW_OUTCOMES) this.counter.inc({ analysis, outcome }, 0);
  }

  /** @throws AppError `result-signed`, and as `amend` */
  async review(reviewer: Reviewer, id: string, ifMatch: string | undefined, decisions: readonly Decision[]): Promise<ResultRecord> {
    const framesOf = await this.framesOf(reviewer, id, decisions);
    return this.change(reviewer, id, ifMatch, (record, original, deciding) => {
      if (SIGNED.includes(record.status)) throw new AppError('result-signed');
      const told = apart(decisions);
      return { kind: 'review', status: 'preliminary', content: decide(original, contentOf(record), decisions, deciding, { framesOf, newId: uuidv7 }) as OriginalContent, decisions: told.decisions, words: { comments: told.comments }, signOff: null };
    });
  }

  /** Opens a signed result again: what it says counts once it is signed anew. @throws AppError `result-not-found`, `result-not-signed`, `result-withheld`, `precondition-required`, `precondition-failed`, `invalid-body`, `too-many-versions` */
  async amend(reviewer: Reviewer, id: string, ifMatch: string | undefined, reason: string, decisions: readonly Decision[]): Promise<ResultRecord> {
    const framesOf = await this.framesOf(reviewer, id, decisions);
    return this.change(reviewer, id, ifMatch, (record, original, deciding) => {
      if (!SIGNED.includes(record.status)) throw new AppError('result-not-signed', { detail: 'It can be reviewed.' });
      const told = apart(decisions);
      return { kind: 'amendment', status: 'preliminary', content: decide(original, contentOf(record), decisions, deciding, { framesOf, newId: uuidv7 }) as OriginalContent, decisions: told.decisions, words: { reason, comments: told.comments }, signOff: null };
    });
  }

  /** @throws AppError `result-signed`, and as `amend` */
  async signOff(reviewer: Reviewer, id: string, ifMatch: string | undefined, { meaning, statement, proof }: { meaning: string; statement: string | undefined; proof: 'password' | 'second-factor' }): Promise<ResultRecord> {
    return this.change(reviewer, id, ifMatch, (record, _, deciding) => {
      if (SIGNED.includes(record.status)) throw new AppError('result-signed');
      const status = record.review?.signedVersion == null ? 'final' : 'amended';
      return { kind: 'sign-off', status, content: letStand(contentOf(record), deciding) as OriginalContent, decisions: [], words: { statement }, signOff: { meaning, proof } };
    });
  }

  /** One transaction: the row is held, so of two that have seen the same one finds another ETag. */
  private async change({ institutionId, userId, name }: Reviewer, id: string, ifMatch: string | undefined, make: (record: ResultRecord, original: OriginalContent, deciding: Deciding) => Change): Promise<ResultRecord> {
    const sign = await this.signer.prepare();
    const { changed, outcome } = await this.database.transaction({ institutionId }, async (tx) => {
      const found = await this.results.lockForReview(tx, institutionId, id);
      if (!found) throw new AppError('result-not-found');
      const { record, original } = found;
      requireSeen(ifMatch, Object.values(etagsOf(record)));
      if (record.status === 'withheld') throw new AppError('result-withheld');
      const now = new Date();
      const version = record.version + 1;
      if (version > MOST_VERSIONS) throw new AppError('too-many-versions');
      const change = make(record, original, { by: userId, at: now.toISOString(), version });
      const signature = change.signOff && signed(sign, { ...change.signOff, resultId: id, version, contentDigest: outputDigestOf(change.content), by: userId, name, at: now.toISOString() });
      const sealed = await this.words.seal(change.words, { institutionId, studyInstanceUid: record.studyInstanceUid, resultId: id, version });
      const { kind, status, content, decisions } = change;
      await this.versions.insert(tx, { institutionId, resultId: id, version, kind, status, decisions, content, sealed, authorId: userId, authorName: name, signature }, now);
      const signOff = change.signOff && { by: userId, name, at: now.toISOString(), meaning: change.signOff.meaning };
      const reviewed = { kind, by: userId, at: now.toISOString(), ...content, signOff, signedVersion: signOff ? version : (record.review?.signedVersion ?? null) };
      const changed = await this.results.review(tx, id, { version, status, reviewed });
      await this.tell(tx, changed, kind);
      return { changed, outcome: countedOutcome(record, original, change, version) };
    });
    if (outcome) this.counter.inc({ analysis: changed.analysis, outcome });
    return changed;
  }

  private async tell(tx: Transaction, { institutionId, id: resultId, analysisId, studyInstanceUid, analysis, version, status }: ResultRecord, kind: ReviewState['kind']): Promise<void> {
    const payload: ResultReviewed = { institutionId, resultId, analysisId, studyInstanceUid, analysis, version, status, kind };
    await this.outbox.append(tx, { institutionId, topic: RESULT_REVIEWED, payload });
    if (kind === 'sign-off') await this.deliveries.plan(tx, { what: ['message'], institutionId, resultId, version, studyInstanceUid, signed: true });
  }

  /** Looks into the study only when a decision places something. */
  private async framesOf({ institutionId }: Reviewer, id: string, decisions: readonly Decision[]): Promise<FramesOf> {
    if (!decisions.some((decision) => 'location' in decision && decision.location)) return () => undefined;
    const record = await this.results.find(institutionId, id);
    const study = record && (await this.studies.find(institutionId, record.studyInstanceUid));
    const frames = new Map(study?.series.flatMap(({ instances }) => instances.map((instance) => [instance.sopInstanceUid, instance.frames ?? 1] as const)));
    return (sopInstanceUid) => frames.get(sopInstanceUid);
  }
}

/** A sign-off adds nothing to what reviews before it said; without one it agrees, be it that nothing was found. */
function countedOutcome({ review }: ResultRecord, original: OriginalContent, { kind, content }: Change, version: number): ReviewOutcome | undefined {
  if (kind === 'sign-off' && review) return undefined;
  return outcomeOf(original, content, version) ?? (kind === 'sign-off' ? 'agreed' : undefined);
}

/** All findings, those that do not stand too. */
function contentOf({ findings, labels, segments, review }: ResultRecord): OriginalContent {
  return { findings: review?.findings ?? findings, labels, segments };
}

function signed(sign: (statement: { type: string }) => StoredSignature['signature'], facts: Omit<StoredSignature['statement'], 'type'>): StoredSignature {
  const { resultId, version, contentDigest, by, name, meaning, proof, at } = facts;
  const statement = { type: SIGN_OFF_STATEMENT, resultId, version, contentDigest, by, name, meaning, proof, at };
  return { statement, signature: sign(statement) };
}
