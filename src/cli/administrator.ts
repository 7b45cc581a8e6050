import { BootstrapService, type FirstAdministrator } from '../modules/users/bootstrap.service.js';
import { UsersCoreModule } from '../modules/users/users-core.module.js';
import { offline } from './offline.js';
import { OfflineAuditModule } from './offline-audit.module.js';
import { recorded } from './recorded.js';

/** Makes a platform administrator in the database of the environment, without the product running. On record in the chain of the installation. */
export function createAdministrator(email: string, password?: string): Promise<FirstAdministrator> {
  return offline([UsersCoreModule, OfflineAuditModule], (app) => recorded(app, 'createAdministrator', () => app.get(BootstrapService).createAdministrator(email, password), ({ userId, institutionId }) => ({ object: userId, details: { towardsInstitutionId: institutionId } })));
}
