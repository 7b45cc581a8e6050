import { Module } from '@nestjs/common';
import { StoredResultWriter } from './result-writer.js';
import { ResultWriter } from './results.contract.js';
import { ResultsStore } from './results.store.js';

/** What both roles need of this module. */
@Module({
  providers: [ResultsStore, { provide: ResultWriter, useClass: StoredResultWriter }],
  exports: [ResultsStore, ResultWriter],
})
export class ResultsCoreModule {}
