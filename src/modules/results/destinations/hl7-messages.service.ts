import { Inject, Injectable } from '@nestjs/common';
import { createHash } from 'node:crypto';
import { encoded } from '../../../imaging/report/hl7/character-set.js';
import { oruMessage, type OruSource } from '../../../imaging/report/hl7/oru.js';
import { standing } from '../../../imaging/report/review.js';
import { AppError } from '../../../kernel/errors.js';
import { CONFIG, type Config } from '../../../platform/config.js';
import { StudyReader } from '../../images/images.contract.js';
import { resultSummary } from '../findings-json.js';
import { attributesOf, ReportService } from '../report/report.service.js';
import { ResultsStore, type ResultRecord } from '../results.store.js';
import { ResultVersionsStore } from '../review/versions.store.js';
import type { Delivery } from './deliveries.store.js';
import { NotSent, type Hl7Target } from './destination.js';
import type { Hl7Message } from './mllp-sender.js';

/** What one version says, and who stands for it. */
type Said = Pick<OruSource, 'status' | 'madeAt' | 'signedBy'> & Pick<ResultRecord, 'findings' | 'labels' | 'segments'>;

/** Composes the HL7 v2 message of one version of a result. */
@Injectable()
export class Hl7Messages {
  constructor(
    private readonly results: ResultsStore,
    private readonly versions: ResultVersionsStore,
    private readonly studies: StudyReader,
    private readonly reports: ReportService,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /**
   * @throws NotSent `object-missing` when the result is gone or nobody's, `superseded` when a later version was signed
   * @throws AppError those of the stores; `overloaded` when the report is to go along
   */
  async of(target: Hl7Target, { id, institutionId, resultId, version }: Delivery): Promise<Hl7Message> {
    const record = await this.results.find(institutionId, resultId);
    const [said, study] = record && record.status !== 'withheld' ? await Promise.all([this.said(record, version), this.studies.find(institutionId, record.studyInstanceUid)]) : [];
    if (!record || !said || !study) throw new NotSent({ code: 'object-missing', detail: 'This version of the result is not there any more', again: false });
    if ((record.review?.signedVersion ?? 0) > version) throw new NotSent({ code: 'superseded', detail: 'A later version was signed and is sent in its place', again: false });
    const { analysis, studyInstanceUid, summary, provenance } = record;
    const controlId = controlIdOf(id);
    const text = oruMessage({
      controlId, sentAt: new Date(), resultId, analysis, studyInstanceUid, ...said, summary: resultSummary({ ...said, analysis }, target.language),
      critical: summary.critical, model: provenance.model, outOfDistribution: provenance.outOfDistribution, attributes: attributesOf(record, study), reportUrl: this.urlOf(resultId, target), pdf: target.pdf ? await this.pdfOf(record, version, target) : undefined,
    }, target);
    return { controlId, bytes: encoded(text, target.characterSet) };
  }

  /** undefined when there is no such version, or nobody is to be told of it. */
  private async said({ institutionId, id }: ResultRecord, version: number): Promise<Said | undefined> {
    const [original, signed] = await Promise.all([this.results.original(institutionId, id), this.versions.find(institutionId, id, version)]);
    if (!original) return undefined;
    if (version === 1) return { status: 'preliminary', madeAt: original.createdAt, findings: original.findings, labels: original.labels, segments: original.segments, signedBy: null };
    if (signed?.kind !== 'sign-off') return undefined;
    const { content: { findings, labels, segments }, createdAt, authorId, authorName } = signed;
    return { status: signed.status === 'amended' ? 'amended' : 'final', madeAt: createdAt, findings: standing(findings), labels, segments, signedBy: { id: authorId, name: authorName } };
  }

  private urlOf(resultId: string, { language }: Hl7Target): string | undefined {
    const base = this.config.PUBLIC_URL;
    return base === undefined ? undefined : `${base}/api/v1/results/${resultId}/report.html?language=${language}`;
  }

  /** undefined when the result says something else by now, or its images are gone: the message says the same without it. */
  private async pdfOf(record: ResultRecord, version: number, { language }: Hl7Target): Promise<Uint8Array | undefined> {
    if (record.version !== version) return undefined;
    try {
      return await this.reports.pdf(record, await this.reports.of(record, language));
    } catch (error) {
      if (error instanceof AppError && LACKING.has(error.code)) return undefined;
      throw error;
    }
  }
}

/** What no later try would find. */
const LACKING: ReadonlySet<string> = new Set(['blob-missing', 'blob-corrupt', 'key-destroyed', 'source-changed', 'instance-not-found', 'study-not-found', 'processing-timeout']);

/** MSH-10 has room for 20 characters; the same delivery has the same one, so that a receiver knows what it has seen. */
function controlIdOf(deliveryId: string): string {
  return createHash('sha256').update(deliveryId).digest('hex').slice(0, 20).toUpperCase();
}
