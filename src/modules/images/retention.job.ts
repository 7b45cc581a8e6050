import { Injectable } from '@nestjs/common';
import { JobHandler, type JobContext } from '../../platform/queue/job.js';
import { RetentionService } from './retention.service.js';

/** Removes what institutions do not want to keep any longer, on a timer. */
@Injectable()
export class RetentionJob extends JobHandler {
  constructor(private readonly retention: RetentionService) {
    super();
  }

  async handle(_payload: Record<string, never>, { signal }: JobContext): Promise<void> {
    while (!signal.aborted) {
      const { more } = await this.retention.removeExpired();
      if (!more) return;
    }
  }
}
