import { Injectable } from '@nestjs/common';
import { Counter, Gauge } from 'prom-client';
import { Metrics } from '../../../platform/ops/metrics.js';
import { soon } from '../../../platform/ops/soon.js';
import { EscalationsStore } from './escalations.store.js';

/** What an alert watches. */
@Injectable()
export class EscalationMetrics {
  readonly outcomes: Counter;
  readonly steps: Counter;

  constructor(store: EscalationsStore, { registry }: Metrics) {
    this.outcomes = new Counter({ name: 'healthvision_escalations_total', help: 'Escalations of critical results by outcome: acknowledged, exhausted', labelNames: ['outcome'], registers: [registry] });
    this.steps = new Counter({ name: 'healthvision_escalation_steps_total', help: 'Steps of escalation chains that were taken', registers: [registry] });
    new Gauge({
      name: 'healthvision_escalations_open', help: 'Critical results that nobody has acknowledged', registers: [registry],
      // Asked for at every scrape; a database that is away leaves it as it was.
      async collect() {
        const open = await soon(store.countOpen());
        if (open !== undefined) this.set(open);
      },
    });
  }
}
