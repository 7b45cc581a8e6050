import { Module } from '@nestjs/common';
import { StudyReader } from './images.contract.js';
import { PatientsStore } from './patients/patients.store.js';
import { DatabaseStudyReader } from './study-reader.js';
import { StudiesService } from './studies.service.js';
import { StudiesStore } from './studies.store.js';
import { StudyAttributes } from './study-attributes.js';
import { TombstonesStore } from './tombstones.store.js';

/** What both roles need of this module. */
@Module({
  providers: [PatientsStore, StudiesStore, TombstonesStore, StudiesService, StudyAttributes, { provide: StudyReader, useClass: DatabaseStudyReader }],
  exports: [PatientsStore, StudiesStore, TombstonesStore, StudiesService, StudyAttributes, StudyReader],
})
export class ImagesCoreModule {}
