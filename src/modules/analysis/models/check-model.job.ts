import { Injectable } from '@nestjs/common';
import { JobHandler } from '../../../platform/queue/job.js';
import { ModelChecks } from './model-checks.service.js';
import type { ModelAdded } from './model-events.js';

/** An uploaded pack is tried by whichever worker comes first. */
@Injectable()
export class CheckModelJob extends JobHandler<ModelAdded> {
  constructor(private readonly checks: ModelChecks) {
    super();
  }

  async handle({ digest }: ModelAdded): Promise<void> {
    await this.checks.checkUploaded(digest);
  }
}
