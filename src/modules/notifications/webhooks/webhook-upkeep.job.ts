import { Inject, Injectable } from '@nestjs/common';
import { Counter } from 'prom-client';
import { LOGGER, type Logger } from '../../../platform/ops/logger.js';
import { Metrics } from '../../../platform/ops/metrics.js';
import { JobHandler } from '../../../platform/queue/job.js';
import { WebhookDeliveriesStore } from './webhook-deliveries.store.js';
import { WebhookPlanner } from './webhook-planner.service.js';
import { WebhookPlanningStore } from './webhook-planning.store.js';

const AT_ONCE = 500;

/** Plans events whose jobs the queue has lost, and removes deliveries that are older than the log, on a timer. */
@Injectable()
export class WebhookUpkeepJob extends JobHandler {
  private readonly repairs: Counter;

  constructor(
    private readonly planning: WebhookPlanningStore,
    private readonly planner: WebhookPlanner,
    private readonly deliveries: WebhookDeliveriesStore,
    metrics: Metrics,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    super();
    this.repairs = new Counter({ name: 'healthvision_webhook_repairs_total', help: 'Deliveries that were planned because the queue had lost the job that should have', registers: [metrics.registry] });
  }

  async handle(): Promise<void> {
    let planned = 0;
    for (const event of await this.planning.lost(AT_ONCE)) planned += await this.planner.plan(event);
    if (planned > 0) this.logger.warn({ planned }, 'events had no job and are planned for webhooks now');
    this.repairs.inc(planned);
    await this.deliveries.prune();
  }
}
