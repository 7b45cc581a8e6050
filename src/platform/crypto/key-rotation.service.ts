import { Injectable } from '@nestjs/common';
import { AuditKeys } from '../audit/audit-keys.js';
import { encrypt } from './data-key.js';
import { KeyVault, studyContext } from './key-vault.js';
import { KeyVaultStore, type StudyKeyRow } from './key-vault.store.js';
import { MasterKey } from './master-key.js';

const BATCH = 500;

export interface RotationProgress {
  /** Institutions' keys that are wrapped by MASTER_KEY now. */
  institutionKeys: number;
  /** Data keys that a new institution's key wraps now. */
  studyKeys: number;
}

/**
 * Wraps keys anew: institutions' keys, and those of the audit trail, under the present MASTER_KEY (MASTER_KEY_PREVIOUS opens them until then), data keys under
 * a new key of their institution. What they encrypt stays as it is. Every step is committed by itself, so that a rotation that
 * was cut off goes on where it stood.
 */
@Injectable()
export class KeyRotationService {
  constructor(
    private readonly store: KeyVaultStore,
    private readonly vault: KeyVault,
    private readonly masterKey: MasterKey,
    private readonly auditKeys: AuditKeys,
  ) {}

  /**
   * @param report  called as it goes on
   * @throws AppError `internal` when neither MASTER_KEY nor MASTER_KEY_PREVIOUS opens a key
   */
  async rotate(report: (progress: RotationProgress) => void = () => undefined): Promise<RotationProgress> {
    const progress: RotationProgress = { institutionKeys: 0, studyKeys: 0 };
    await this.auditKeys.sealAnew();
    for (;;) {
      const rows = await this.store.institutionKeysNotUnder(this.masterKey.id, BATCH);
      if (rows.length === 0) break;
      for (const row of rows) {
        const { bytes } = this.vault.openInstitutionKey(row);
        await this.store.rewrapInstitutionKey({ ...row, wrapped: this.masterKey.seal(bytes, `institution-keys/${row.id}`), masterKeyId: this.masterKey.id });
        progress.institutionKeys++;
      }
      report(progress);
    }
    for (const institutionId of await this.store.institutions()) {
      progress.studyKeys += await this.rotateInstitution(institutionId, (done) => { report({ ...progress, studyKeys: progress.studyKeys + done }); });
      report(progress);
    }
    return progress;
  }

  private async rotateInstitution(institutionId: string, report: (done: number) => void): Promise<number> {
    const present = await this.store.newestInstitutionKey(institutionId, 'wrap');
    if (!present) return 0;
    // A rotation that was cut off left a newest key that does not wrap all yet: go on with that one.
    const unfinished = present.version > 1 && (await this.store.studyKeysNotUnder(institutionId, present.id, 1)).length > 0;
    const newest = unfinished ? present : await this.next(institutionId, present.version + 1);
    const { bytes } = this.vault.openInstitutionKey(newest);
    let done = 0;
    for (;;) {
      const rows = await this.store.studyKeysNotUnder(institutionId, newest.id, BATCH);
      if (rows.length === 0) break;
      const rewrapped: StudyKeyRow[] = [];
      for (const row of rows) rewrapped.push({ ...row, wrapped: encrypt(bytes, await this.vault.unwrap(row), studyContext(row.id)), wrappingKeyId: newest.id });
      await this.store.rewrapStudyKeys(institutionId, rewrapped);
      done += rows.length;
      report(done);
    }
    return done;
  }

  private async next(institutionId: string, version: number): Promise<ReturnType<KeyVault['newInstitutionKey']>> {
    const key = this.vault.newInstitutionKey(institutionId, 'wrap', version);
    await this.store.addInstitutionKey(key);
    // Another rotation at the same moment may have been first.
    return (await this.store.newestInstitutionKey(institutionId, 'wrap')) ?? key;
  }
}
