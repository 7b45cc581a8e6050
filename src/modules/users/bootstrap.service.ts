import { Inject, Injectable } from '@nestjs/common';
import { AppError } from '../../kernel/errors.js';
import { CONFIG, type Config } from '../../platform/config.js';
import { Database } from '../../platform/database/database.js';
import { LOGGER, type Logger } from '../../platform/ops/logger.js';
import { InstitutionsStore } from './institutions.store.js';
import { generatePassword, hashPassword } from './password.js';
import { PASSWORD_FAULTS, PasswordPolicy, type PasswordFault } from './passwords/password-policy.js';
import { UsersStore, type User } from './users.store.js';

const FIRST_INSTITUTION = 'Default institution';
const ADMINISTRATOR = 'Administrator';

export interface FirstAdministrator {
  email: string;
  /** Only when it was generated just now: it cannot be read again. */
  password: string | null;
  institutionId: string;
  userId: string;
}

/** Makes the people without whom nobody could sign in. */
@Injectable()
export class BootstrapService {
  constructor(
    private readonly institutions: InstitutionsStore,
    private readonly users: UsersStore,
    private readonly database: Database,
    private readonly policy: PasswordPolicy,
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /**
   * On an empty database makes the first institution and its administrator, and prints a generated password once, on standard
   * error. Later it only says who that is. Any number of processes may do this at the same time.
   */
  async ensureFirstAdministrator(): Promise<FirstAdministrator> {
    if (!(await this.users.anyExists())) {
      const generated = this.config.BOOTSTRAP_ADMIN_PASSWORD === undefined ? generatePassword() : null;
      const passwordHash = await hashPassword(this.config.BOOTSTRAP_ADMIN_PASSWORD ?? generated ?? generatePassword());
      const created = await this.createFirst(passwordHash);
      if (created) {
        await this.warnOfWeakness();
        // Never through the logger: a password must not end up in a log store.
        if (generated !== null) process.stderr.write(passwordNotice(created.email, generated));
        return { email: created.email, password: generated, institutionId: created.institutionId, userId: created.id };
      }
    }
    const first = await this.users.firstWithRole('platform-admin');
    if (!first) throw new AppError('configuration-invalid', { detail: 'There is no platform administrator: make one with `healthvision admin create`.' });
    return { email: first.email, password: null, institutionId: first.institutionId, userId: first.id };
  }

  /**
   * Makes one more platform administrator, in the first institution.
   *
   * @param password  generated and returned when it is not given
   * @throws AppError `conflict` when the address is taken, `weak-password`
   */
  async createAdministrator(email: string, password?: string): Promise<FirstAdministrator> {
    if (password !== undefined) await this.policy.require(password, { email, displayName: ADMINISTRATOR }, '/password', 'en');
    const generated = password === undefined ? generatePassword() : null;
    const passwordHash = await hashPassword(password ?? generated ?? generatePassword());
    const user = await this.database.transaction('system', async (tx) => {
      const institution = await this.institutions.ensureFirst(tx, FIRST_INSTITUTION);
      const created = await this.users.create(tx, { institutionId: institution.id, email, displayName: ADMINISTRATOR, role: 'platform-admin', passwordHash });
      if (!created) throw new AppError('conflict', { detail: 'There is a user with this e-mail address.' });
      return created;
    });
    return { email: user.email, password: generated, institutionId: user.institutionId, userId: user.id };
  }

  /** Nobody is to become the first administrator of a hospital's installation with a password that is easily guessed. @throws AppError `configuration-invalid` in production */
  async assertPassword(): Promise<void> {
    if (!this.config.isProduction || this.config.BOOTSTRAP_ADMIN_PASSWORD === undefined || (await this.users.anyExists())) return;
    const faults = await this.faults();
    if (faults.length > 0) throw new AppError('configuration-invalid', { detail: `BOOTSTRAP_ADMIN_PASSWORD: ${faults.map((fault) => PASSWORD_FAULTS[fault].en).join(' ')}` });
  }

  private async faults(): Promise<PasswordFault[]> {
    const { BOOTSTRAP_ADMIN_EMAIL: email, BOOTSTRAP_ADMIN_PASSWORD: password } = this.config;
    return password === undefined ? [] : this.policy.faultsOf(password, { email, displayName: ADMINISTRATOR });
  }

  /** Where it is tried out, a weak password is no reason not to start. */
  private async warnOfWeakness(): Promise<void> {
    const faults = await this.faults();
    if (faults.length > 0) this.logger.warn({ faults }, 'BOOTSTRAP_ADMIN_PASSWORD is weak: change it');
  }

  /** @returns undefined when there is somebody by now */
  private async createFirst(passwordHash: string): Promise<User | undefined> {
    return this.database.transaction('system', async (tx) => {
      const institution = await this.institutions.ensureFirst(tx, FIRST_INSTITUTION);
      if (await this.users.anyExists(tx)) return undefined;
      return this.users.create(tx, { institutionId: institution.id, email: this.config.BOOTSTRAP_ADMIN_EMAIL, displayName: ADMINISTRATOR, role: 'platform-admin', passwordHash });
    });
  }
}

function passwordNotice(email: string, password: string): string {
  const lines = ['The first administrator was created.', '', `  E-mail address  ${email}`, `  Password        ${password}`, '', 'It is shown this once. Keep it, or set BOOTSTRAP_ADMIN_PASSWORD.'];
  const width = Math.max(...lines.map((line) => line.length));
  return ['', `┌─${'─'.repeat(width)}─┐`, ...lines.map((line) => `│ ${line.padEnd(width)} │`), `└─${'─'.repeat(width)}─┘`, '', ''].join('\n');
}
