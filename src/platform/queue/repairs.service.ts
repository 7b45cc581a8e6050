import { Injectable } from '@nestjs/common';
import { Counter } from 'prom-client';
import { Metrics } from '../ops/metrics.js';

/**
 * What can be found and mended. `schedule`: a timed job that the queue did not have, or was to run far too late. `job`: an event whose job was gone, or waited for a far time. `acknowledgement`: a job
 * that was done and nobody had said so. `silent-run`: a run whose worker died. `waiting-run`: a run that nobody took. `delivery`: a delivery that
 * nobody sent. `upload`: a whole upload that nobody stored. `orphan-blob`: bytes that no row names.
 */
export type RepairKind = 'schedule' | 'job' | 'acknowledgement' | 'silent-run' | 'waiting-run' | 'delivery' | 'upload' | 'orphan-blob';

/** Counts what was found out of order and mended. Of a sound installation they stay nought, but for workers that die. */
@Injectable()
export class Repairs {
  private readonly repairs: Counter;

  constructor(metrics: Metrics) {
    this.repairs = new Counter({ name: 'healthvision_reconciler_repairs_total', help: 'What the reconciler found out of order and mended, by kind', labelNames: ['kind'], registers: [metrics.registry] });
  }

  count(kind: RepairKind, repairs = 1): void {
    if (repairs > 0) this.repairs.inc({ kind }, repairs);
  }
}
