import { Module } from '@nestjs/common';
import { CatalogueStore } from './catalogue/catalogue.store.js';
import { StoredCatalogue } from './catalogue/stored-catalogue.js';
import { DeidentifiedExportsStore } from './deidentified-exports.store.js';
import { StoredDerivedInstances } from './derived-instances.js';
import { DerivedInstancesStore } from './derived-instances.store.js';
import { Catalogue, DerivedInstances, PatientRecords, StudyHeadings, StudyReader } from './images.contract.js';
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
  providers: [
    CatalogueStore, DeidentifiedExportsStore, DerivedInstancesStore, PatientsStore, StudiesStore, TombstonesStore, StudiesService, StudyAttributes,
    { provide: StudyReader, useClass: DatabaseStudyReader }, { provide: PatientRecords, useClass: StoredPatientRecords }, { provide: Catalogue, useClass: StoredCatalogue }, { provide: DerivedInstances, useClass: StoredDerivedInstances },
    { provide: StudyHeadings, useClass: SealedStudyHeadings },
  ],
  exports: [DeidentifiedExportsStore, PatientsStore, StudiesStore, TombstonesStore, StudiesService, StudyAttributes, StudyReader, PatientRecords, Catalogue, DerivedInstances, StudyHeadings],
})
export class ImagesCoreModule {}
