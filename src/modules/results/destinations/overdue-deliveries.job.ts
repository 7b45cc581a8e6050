import { Inject, Injectable } from '@nestjs/common';
import { LOGGER, type Logger } from '../../../platform/ops/logger.js';
import { JobHandler } from '../../../platform/queue/job.js';
import { Repairs } from '../../../platform/queue/repairs.service.js';
import { DeliveriesStore } from './deliveries.store.js';

/** A queue that lives sends on time; what is later than this has nobody who sends it. */
const OVERDUE_SECONDS = 120;
const AT_ONCE = 100;

/** Finds deliveries that the queue has forgotten, on a timer: the rows are the truth. */
@Injectable()
export class OverdueDeliveriesJob extends JobHandler {
  constructor(
    private readonly deliveries: DeliveriesStore,
    private readonly repairs: Repairs,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    super();
  }

  async handle(): Promise<void> {
    const deliveries = await this.deliveries.wakeOverdue(OVERDUE_SECONDS, AT_ONCE);
    this.repairs.count('delivery', deliveries);
    if (deliveries > 0) this.logger.warn({ deliveries }, 'deliveries were overdue and are sent now');
  }
}
