import { Inject, Injectable } from '@nestjs/common';
import { Counter } from 'prom-client';
import type { DerivedFault } from '../../../imaging/report/derived.js';
import { AppError, type ErrorCode } from '../../../kernel/errors.js';
import { isDatabaseAway } from '../../../platform/database/database-errors.js';
import { LOGGER, type Logger } from '../../../platform/ops/logger.js';
import { Metrics } from '../../../platform/ops/metrics.js';
import { HandBack, JobHandler, type JobContext } from '../../../platform/queue/job.js';
import { DerivedObjects } from '../derived-objects.service.js';
import type { ResultReviewed } from '../results.contract.js';
import { SignedObjectsStore } from './signed-objects.store.js';
import { SignedSources, type SignedSource } from './signed-source.service.js';

const AGAIN_MS = 30_000;
/** Nothing that a try more or less decides. */
const PASSING: ReadonlySet<string> = new Set<ErrorCode>(['database-unavailable', 'storage-unavailable', 'storage-full', 'overloaded', 'shutting-down']);

/**
 * Makes SEG and SR of what a person has signed. What the gate refuses stays signed with the objects it had: those who run the installation are told, and
 * nothing is sent.
 */
@Injectable()
export class SignedObjectsJob extends JobHandler<ResultReviewed> {
  private readonly refused: Counter;

  constructor(
    private readonly sources: SignedSources,
    private readonly objects: DerivedObjects,
    private readonly store: SignedObjectsStore,
    metrics: Metrics,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    super();
    this.refused = new Counter({ name: 'healthvision_signed_objects_refused_total', help: 'Signed results whose SEG and SR the gate refused, by the check that found fault', labelNames: ['check'], registers: [metrics.registry] });
  }

  async handle({ institutionId, resultId, version, kind }: ResultReviewed, { signal }: JobContext): Promise<void> {
    if (kind !== 'sign-off') return;
    try {
      const signed = await this.sources.of(institutionId, resultId, version);
      const faults = signed ? await this.make(institutionId, signed) : [];
      if (faults.length > 0) this.refuse(resultId, version, faults);
    } catch (error) {
      if (signal.aborted || isDatabaseAway(error) || (error instanceof AppError && PASSING.has(error.code))) throw new HandBack(AGAIN_MS);
      throw error;
    }
  }

  private async make(institutionId: string, signed: SignedSource): Promise<readonly DerivedFault[]> {
    if (!signed.isInputUnchanged) return [{ check: 'reference', detail: 'The images are others than those that the result was computed from' }];
    const gate = await this.objects.make(signed.source);
    return gate.kind === 'passed' ? this.store.store(institutionId, signed, gate.objects) : gate.faults;
  }

  private refuse(resultId: string, version: number, faults: readonly DerivedFault[]): void {
    for (const check of new Set(faults.map((fault) => fault.check))) this.refused.inc({ check });
    this.logger.error({ resultId, version, faults }, 'SEG and SR of a signed result are refused');
  }
}
