import { Module } from '@nestjs/common';
import { BootstrapService } from './bootstrap.service.js';
import { InstitutionsStore } from './institutions.store.js';
import { PasswordPolicy } from './passwords/password-policy.js';
import { UsersStore } from './users.store.js';

/** People and institutions without HTTP: what the start and the command line need. */
@Module({
  providers: [InstitutionsStore, UsersStore, PasswordPolicy, BootstrapService],
  exports: [InstitutionsStore, UsersStore, PasswordPolicy, BootstrapService],
})
export class UsersCoreModule {}
