import { Module } from '@nestjs/common';
import { BootstrapService } from './bootstrap.service.js';
import { InstitutionsStore } from './institutions.store.js';
import { UsersStore } from './users.store.js';

/** People and institutions without HTTP: what the start and the command line need. */
@Module({
  providers: [InstitutionsStore, UsersStore, BootstrapService],
  exports: [InstitutionsStore, UsersStore, BootstrapService],
})
export class UsersCoreModule {}
