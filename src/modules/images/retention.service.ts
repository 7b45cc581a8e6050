import { Inject, Injectable } from '@nestjs/common';
import { hostname } from 'node:os';
import { Counter } from 'prom-client';
import type { AuditDraft } from '../../platform/audit/audit-event.js';
import { AuditWriter } from '../../platform/audit/audit-writer.js';
import { KeyVault } from '../../platform/crypto/key-vault.js';
import { Database } from '../../platform/database/database.js';
import { LOGGER, type Logger } from '../../platform/ops/logger.js';
import { Metrics } from '../../platform/ops/metrics.js';
import { RetentionStore, type ExpiredStudy } from './retention.store.js';
import { StudiesService } from './studies.service.js';

/** A study of thousands of instances is removed in one transaction, so a few at a time. */
const REMOVED_AT_ONCE = 5;

/** Removes studies that are older than their institution wants to keep them. */
@Injectable()
export class RetentionService {
  private readonly removed: Counter;

  constructor(
    private readonly database: Database,
    private readonly store: RetentionStore,
    private readonly studies: StudiesService,
    private readonly vault: KeyVault,
    private readonly audit: AuditWriter,
    metrics: Metrics,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    this.removed = new Counter({ name: 'healthvision_retention_removed_studies_total', help: 'Studies that retention has removed', registers: [metrics.registry] });
  }

  /**
   * Removes a few, as a deletion does.
   *
   * @returns whether there may be more
   */
  async removeExpired(): Promise<{ removed: number; more: boolean }> {
    const gone = await this.database.transaction('system', async (tx) => {
      const expired = await this.store.claimExpired(tx, REMOVED_AT_ONCE);
      // Outside the transaction, which may run again: that removal was attempted is true then, too.
      for (const study of expired) await this.audit.write({ ...eventOf(study), outcome: 'attempted' });
      await this.studies.remove(tx, expired);
      return expired;
    });
    for (const study of gone) {
      const { id: studyId, institutionId, keyId, retentionDays } = study;
      this.vault.forget(keyId);
      await this.audit.write({ ...eventOf(study), outcome: 'succeeded' });
      this.removed.inc();
      this.logger.info({ institutionId, studyId, retentionDays }, 'a study was removed by retention');
    }
    return { removed: gone.length, more: gone.length > 0 };
  }
}

function eventOf({ institutionId, studyInstanceUid, retentionDays }: ExpiredStudy): Omit<AuditDraft, 'outcome'> {
  return { institutionId, actorKind: 'job', source: hostname(), action: 'retention', studyInstanceUids: [studyInstanceUid], purpose: 'retention', details: { retentionDays } };
}
