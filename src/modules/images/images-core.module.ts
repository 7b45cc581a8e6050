import { Module } from '@nestjs/common';
import { DeidentifiedExportsStore } from './deidentified-exports.store.js';
import { PatientRecords, StudyHeadings, StudyReader } from './images.contract.js';
import { StoredPatientRecords } from './patients/patient-records.js';
import { PatientsStore } from './patients/patients.store.js';
import { DatabaseStudyReader } from './study-reader.js';
import { StudiesService } from './studies.service.js';
import { StudiesStore } from './studies.store.js';
import { StudyAttributes } from './study-attributes.js';
import { SealedStudyHeadings } from './study-headings.js';
import { TombstonesStore } from './tombstones.store.js';

/** What both roles need of this module. */
@Module({
  providers: [DeidentifiedExportsStore, PatientsStore, StudiesStore, TombstonesStore, StudiesService, StudyAttributes, { provide: StudyReader, useClass: DatabaseStudyReader }, { provide: PatientRecords, useClass: StoredPatientRecords }, { provide: StudyHeadings, useClass: SealedStudyHeadings }],
  exports: [DeidentifiedExportsStore, PatientsStore, StudiesStore, TombstonesStore, StudiesService, StudyAttributes, StudyReader, PatientRecords, StudyHeadings],
})
export class ImagesCoreModule {}
