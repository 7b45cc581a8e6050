import { Module } from '@nestjs/common';
import { AdministratorsStore } from './administrators.store.js';
import { BootstrapService } from './bootstrap.service.js';
import { InstitutionsStore } from './institutions.store.js';
import { PasswordPolicy } from './passwords/password-policy.js';
import { Administrators } from './users.contract.js';
import { UsersStore } from './users.store.js';

/** People and institutions without HTTP: what the start and the command line need. */
@Module({
  providers: [InstitutionsStore, UsersStore, PasswordPolicy, BootstrapService, { provide: Administrators, useClass: AdministratorsStore }],
  exports: [InstitutionsStore, UsersStore, PasswordPolicy, BootstrapService, Administrators],
})
export class UsersCoreModule {}
