import { Module } from '@nestjs/common';
import { CatalogueStore } from './catalogue/catalogue.store.js';
import { StoredCatalogue } from './catalogue/stored-catalogue.js';
import { DeidentifiedExportsStore } from './deidentified-exports.store.js';
import { Catalogue, PatientRecords, StudyReader } from './images.contract.js';
import { StoredPatientRecords } from './patients/patient-records.js';
import { PatientsStore } from './patients/patients.store.js';
import { DatabaseStudyReader } from './study-reader.js';
import { StudiesService } from './studies.service.js';
import { StudiesStore } from './studies.store.js';
import { StudyAttributes } from './study-attributes.js';
import { TombstonesStore } from './tombstones.store.js';

/** What both roles need of this module. */
@Module({
  providers: [CatalogueStore, DeidentifiedExportsStore, PatientsStore, StudiesStore, TombstonesStore, StudiesService, StudyAttributes, { provide: StudyReader, useClass: DatabaseStudyReader }, { provide: PatientRecords, useClass: StoredPatientRecords }, { provide: Catalogue, useClass: StoredCatalogue }],
  exports: [DeidentifiedExportsStore, PatientsStore, StudiesStore, TombstonesStore, StudiesService, StudyAttributes, StudyReader, PatientRecords, Catalogue],
})
export class ImagesCoreModule {}
