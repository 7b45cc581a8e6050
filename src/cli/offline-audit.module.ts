import { Global, Module } from '@nestjs/common';
import { AuditModule } from '../platform/audit/audit.module.js';
import { Metrics } from '../platform/ops/metrics.js';

/** The audit trail, without the rest of the product. */
@Global()
@Module({ imports: [AuditModule], providers: [Metrics], exports: [Metrics] })
export class OfflineAuditModule {}
