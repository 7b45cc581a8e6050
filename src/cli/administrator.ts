import { BootstrapService, type FirstAdministrator } from '../modules/users/bootstrap.service.js';
import { UsersCoreModule } from '../modules/users/users-core.module.js';
import { offline } from './offline.js';

/** Makes a platform administrator in the database of the environment, without the product running. */
export function createAdministrator(email: string, password?: string): Promise<FirstAdministrator> {
  return offline([UsersCoreModule], (app) => app.get(BootstrapService).createAdministrator(email, password));
}
