import { createHash } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { uuidv7 } from '../../../kernel/uid.js';
import { CONFIG, type Config } from '../../../platform/config.js';
import { ReceiptSigner } from '../../../platform/audit/receipt-signer.js';
import { Database } from '../../../platform/database/database.js';
import { LiveChannel } from '../../../platform/database/live-channel.js';
import type { Principal } from '../../../platform/http/access.js';
import { PatientRecords } from '../../images/images.contract.js';
import { StudyResults } from '../../results/results.contract.js';
import { RUN_CANCELLED, RUN_CHANGED } from '../run-events.js';
import { RunsStore } from '../runs.store.js';
import { ERASURE_RECEIPT, type ErasureStatement } from './erasure-json.js';

/** Erases patients: all rows in one transaction, and the keys without which what is left is noise. */
@Injectable()
export class PatientErasureService {
  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly database: Database,
    private readonly patients: PatientRecords,
    private readonly results: StudyResults,
    private readonly runs: RunsStore,
    private readonly signer: ReceiptSigner,
    private readonly live: LiveChannel,
  ) {}

  /**
   * @param ifMatch  the ETag that the caller has read
   * @returns what was erased, and the signed receipt of it; the bytes go with the next sweep
   * @throws AppError `patient-not-found`, `precondition-failed`, `study-on-hold`: nothing is erased then
   */
  async erase(principal: Principal, patientId: string, reason: string | undefined, ifMatch: string | undefined): Promise<{ statement: ErasureStatement; receipt: string; studyInstanceUids: string[] }> {
    const { institutionId } = principal;
    const sign = await this.signer.prepare(ERASURE_RECEIPT);
    const { erased, stopped, ...done } = await this.database.transaction({ institutionId }, async (tx) => {
      const gone = await this.patients.erase(tx, institutionId, patientId, ifMatch);
      const studyIds = gone.studies.map(({ id }) => id);
      const results = await this.results.removeOfStudies(tx, institutionId, studyIds);
      const runs = await this.runs.removeOfStudies(tx, institutionId, studyIds);
      const { series, instances, earlierInstanceVersions, studies } = gone;
      const statement: ErasureStatement = {
        iss: this.config.PUBLIC_URL ?? 'healthvision', jti: uuidv7(), iat: Math.floor(Date.now() / 1000),
        institution: institutionId, patient: patientId, erasedAt: new Date().toISOString(),
        erasedBy: { kind: principal.kind, id: principal.id, user: principal.userId, role: principal.role },
        reason: reason ?? null,
        erased: { studies: studies.length, series, instances, earlierInstanceVersions, analyses: runs.removed, results },
        studyInstanceUidSha256: studies.map(({ studyInstanceUid }) => createHash('sha256').update(studyInstanceUid).digest('hex')).sort(),
        destroyedKeys: studies.map(({ keyId }) => keyId).sort(),
      };
      return { erased: gone, stopped: runs.stopped, statement, receipt: await sign(statement) };
    });
    this.patients.forget(erased);
    // Hints only: whoever computes one of them sees at the next heartbeat that it is gone.
    for (const key of stopped) for (const topic of [RUN_CANCELLED, RUN_CHANGED]) await this.live.publish({ topic, key }).catch(() => undefined);
    return { ...done, studyInstanceUids: erased.studies.map(({ studyInstanceUid }) => studyInstanceUid) };
  }
}
