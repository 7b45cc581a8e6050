import { Injectable } from '@nestjs/common';
import { AppError } from '../../../kernel/errors.js';
import { Database } from '../../../platform/database/database.js';
import { JobHandler } from '../../../platform/queue/job.js';
import type { FileFate } from '../fate.js';
import type { StudyDeleted } from '../images.contract.js';
import { ResumableUploads } from './resumable-uploads.service.js';
import { UploadsStore, type Upload } from './uploads.store.js';

const PAGE_SIZE = 200;
const FIRST = '00000000-0000-0000-0000-000000000000';

/** What is known of an upload names its files and studies; when a patient is erased, it does not wait for its time to be over. */
@Injectable()
export class ForgetUploadsJob extends JobHandler<StudyDeleted> {
  constructor(
    private readonly database: Database,
    private readonly store: UploadsStore,
    private readonly resumable: ResumableUploads,
  ) {
    super();
  }

  async handle({ institutionId, studyInstanceUid, erased }: StudyDeleted): Promise<void> {
    if (!erased) return;
    for (let after = FIRST; ;) {
      const page = await this.store.done(institutionId, PAGE_SIZE, after);
      for (const upload of page) {
        const fates = await this.fatesOf(upload);
        if (fates.some((fate) => fate.studyInstanceUid === studyInstanceUid)) await this.database.transaction({ institutionId }, (tx) => this.store.remove(tx, institutionId, upload.id));
      }
      const last = page.at(-1);
      if (!last || page.length < PAGE_SIZE) return;
      after = last.id;
    }
  }

  /** What cannot be opened any more names nobody. */
  private async fatesOf(upload: Upload): Promise<readonly FileFate[]> {
    try {
      return (await this.resumable.fatesOf(upload)) ?? [];
    } catch (error) {
      if (error instanceof AppError && ['blob-corrupt', 'key-destroyed'].includes(error.code)) return [];
      throw error;
    }
  }
}
