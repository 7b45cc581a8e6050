import { Inject, Injectable } from '@nestjs/common';
import { Counter } from 'prom-client';
import { AppError } from '../../../kernel/errors.js';
import { AuditWriter } from '../../../platform/audit/audit-writer.js';
import { isDatabaseAway } from '../../../platform/database/database-errors.js';
import { LOGGER, type Logger } from '../../../platform/ops/logger.js';
import { Metrics } from '../../../platform/ops/metrics.js';
import { HandBack, JobHandler, type JobContext } from '../../../platform/queue/job.js';
import { DeliveriesStore, type Delivery, type DeliveryDue } from './deliveries.store.js';
import { NotSent, type SendFailure } from './destination.js';
import { DestinationsStore } from './destinations.store.js';
import { Sender } from './sender.service.js';

/** 30 s, a minute, two, … six hours: three days in all, so that a PACS may be away over a weekend. */
const FIRST_WAIT_MS = 30_000;
const LONGEST_WAIT_MS = 6 * 3_600_000;
export const MOST_TRIES = 21;

/** For the version before to arrive. */
const TURN_MS = 2_000;

/** Sends one version of a result to one destination. A try that fails waits ever longer; what a receiver refuses for good is not sent again. */
@Injectable()
export class DeliverJob extends JobHandler<DeliveryDue> {
  private readonly tries: Counter;

  constructor(
    private readonly deliveries: DeliveriesStore,
    private readonly destinations: DestinationsStore,
    private readonly sender: Sender,
    private readonly audit: AuditWriter,
    metrics: Metrics,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    super();
    this.tries = new Counter({ name: 'healthvision_delivery_tries_total', help: 'Tries to send a result to a destination, by kind and outcome', labelNames: ['kind', 'outcome'], registers: [metrics.registry] });
  }

  async handle({ institutionId, deliveryId }: DeliveryDue, { signal }: JobContext): Promise<void> {
    const delivery = await this.deliveries.claim(institutionId, deliveryId);
    if (!delivery) return;
    const destination = await this.destinations.find(institutionId, delivery.destinationId);
    if (!destination) return;
    if (!destination.enabled) {
      await this.deliveries.finish(delivery, { state: 'given-up', failure: { code: 'not-allowed', detail: 'The destination is not enabled' } });
      return;
    }
    if (destination.target.kind === 'hl7' && (await this.deliveries.isOlderOnItsWay(delivery))) {
      await this.deliveries.release(delivery);
      throw new HandBack(TURN_MS);
    }
    const about = { institutionId, actorKind: 'job', source: destination.id, action: 'deliverResult', object: delivery.resultId, studyInstanceUids: [delivery.studyInstanceUid] } as const;
    try {
      await this.audit.write({ ...about, outcome: 'attempted' });
      await this.sender.send(destination, delivery, signal);
    } catch (error) {
      if (!(error instanceof NotSent)) {
        await this.deliveries.release(delivery).catch(() => undefined);
        if (signal.aborted || isDatabaseAway(error) || error instanceof AppError) throw new HandBack(FIRST_WAIT_MS);
        throw error;
      }
      await this.audit.write({ ...about, outcome: 'failed', code: error.failure.code }).catch(() => undefined);
      this.tries.inc({ kind: destination.target.kind, outcome: error.failure.code });
      return this.fail(delivery, error.failure);
    }
    await this.deliveries.finish(delivery, { state: 'delivered' });
    this.tries.inc({ kind: destination.target.kind, outcome: 'delivered' });
    await this.audit.write({ ...about, outcome: 'succeeded' });
  }

  /** @throws HandBack until it is given up */
  private async fail(delivery: Delivery, { code, detail, again }: SendFailure): Promise<void> {
    const givenUp = !again || delivery.attempts >= MOST_TRIES;
    this.logger.warn({ deliveryId: delivery.id, destinationId: delivery.destinationId, code, detail, attempts: delivery.attempts, givenUp }, 'a result could not be delivered');
    const againAfterMs = Math.min(FIRST_WAIT_MS * 2 ** (delivery.attempts - 1), LONGEST_WAIT_MS);
    await this.deliveries.finish(delivery, { state: givenUp ? 'given-up' : 'waiting', failure: { code, detail }, ...(!givenUp && { againAfterMs }) });
    // A little later than the row says, which another process's clock wrote.
    if (!givenUp) throw new HandBack(againAfterMs + 500);
  }
}
