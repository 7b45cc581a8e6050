import { Injectable } from '@nestjs/common';
import { JobHandler, type JobContext } from '../../platform/queue/job.js';
import { StudiesService } from './studies.service.js';

/** Completes studies that are whole, and those that went quiet, on a timer. */
@Injectable()
export class SettleJob extends JobHandler {
  constructor(private readonly studies: StudiesService) {
    super();
  }

  async handle(_payload: Record<string, never>, { signal }: JobContext): Promise<void> {
    await this.studies.settleWholeStudies();
    while (!signal.aborted) {
      const { more } = await this.studies.settleQuietStudies();
      if (!more) return;
    }
  }
}
