import { Injectable } from '@nestjs/common';
import { Gauge } from 'prom-client';
import { Metrics } from '../ops/metrics.js';
import { soon } from '../ops/soon.js';
import { AuditChainStore } from './audit-chain.store.js';

/** How far the sealing of the audit trail is behind, over the whole installation. Every process tells the same. */
@Injectable()
export class AuditLag {
  constructor(store: AuditChainStore, { registry }: Metrics) {
    new Gauge({
      name: 'healthvision_audit_unsealed_seconds', help: 'Age of the oldest audit event that is not part of its chain yet; 0 when all are, NaN when the database does not say', registers: [registry],
      async collect() { this.set((await soon(store.oldestUnsealedSeconds())) ?? NaN); },
    });
  }
}
