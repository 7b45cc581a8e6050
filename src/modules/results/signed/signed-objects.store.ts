import { Injectable } from '@nestjs/common';
import type { DerivedFault, DerivedObject } from '../../../imaging/report/derived.js';
import { Database } from '../../../platform/database/database.js';
import { DerivedInstances, StudyReader } from '../../images/images.contract.js';
import { DeliveriesStore } from '../destinations/deliveries.store.js';
import { faultsOf } from '../derived-outcome.js';
import { ResultsStore } from '../results.store.js';
import { isDue, type SignedSource } from './signed-source.service.js';

/** Puts the objects of a signed version beside the images and on their way to destinations: all of it or nothing, and once. */
@Injectable()
export class SignedObjectsStore {
  constructor(
    private readonly database: Database,
    private readonly studies: StudyReader,
    private readonly results: ResultsStore,
    private readonly instances: DerivedInstances,
    private readonly deliveries: DeliveriesStore,
  ) {}

  /**
   * @returns why they are not stored; nothing too when somebody else has stored them, or the result says something else by now
   * @throws AppError `study-deleted`, `blob-missing` when the sweep was faster, those of the blob store
   */
  async store(institutionId: string, { source: { resultId, studyInstanceUid, version }, studyId, instanceIds }: SignedSource, objects: readonly DerivedObject[]): Promise<DerivedFault[]> {
    const prepared = await this.instances.prepare(institutionId, studyInstanceUid, objects.map(({ bytes }) => bytes));
    return this.database.transaction({ institutionId }, async (tx) => {
      // The study first, as runs and erasures do.
      if (!(await this.studies.lock(tx, institutionId, studyId))) return [];
      const found = await this.results.lockForReview(tx, institutionId, resultId);
      if (!found || !isDue(found.record, version)) return [];
      const faults = faultsOf(await this.instances.commit(tx, { institutionId, studyId, unchanged: instanceIds }, prepared));
      if (faults.length > 0) return faults;
      if (objects.length === 0) return [];
      await this.results.addObjects(tx, resultId, objects.map(({ bytes: _, ...names }) => ({ ...names, version })));
      await this.deliveries.plan(tx, { what: ['objects'], institutionId, resultId, version, studyInstanceUid, signed: true });
      return [];
    });
  }
}
