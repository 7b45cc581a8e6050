import { Injectable } from '@nestjs/common';
import { JobHandler, type JobContext } from '../../platform/queue/job.js';
import { StudiesService } from './studies.service.js';
import type { StudyPlace } from './studies.store.js';

/** Completes studies that are whole, and those that went quiet, on a timer. */
@Injectable()
export class SettleJob extends JobHandler {
  /** Where the last look behind the newest studies ended. */
  private behind: StudyPlace | undefined;

  constructor(private readonly studies: StudiesService) {
    super();
  }

  async handle(_payload: Record<string, never>, { signal }: JobContext): Promise<void> {
    const newest = await this.studies.settleWholeStudies();
    // Studies that seem whole and are not stay where they are until they go quiet, and may fill a page: each run takes one more behind it.
    this.behind = newest && (await this.studies.settleWholeStudies(this.behind ?? newest));
    while (!signal.aborted) {
      const { more } = await this.studies.settleQuietStudies();
      if (!more) return;
    }
  }
}
