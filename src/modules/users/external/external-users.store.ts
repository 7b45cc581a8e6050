import { Injectable } from '@nestjs/common';
import { uuidv7 } from '../../../kernel/uid.js';
import { isUniqueViolation } from '../../../platform/database/database-errors.js';
import { Database, prismaOf } from '../../../platform/database/database.js';
import type { Role } from '../users.contract.js';

export interface ExternalUser {
  id: string;
  institutionId: string;
  role: string;
  isActive: boolean;
  lastSignInAt: Date | null;
}

export interface NewExternalUser {
  institutionId: string;
  issuer: string;
  subject: string;
  email: string;
  displayName: string;
  role: Role;
}

/** People who are known by what an external issuer calls them. */
@Injectable()
export class ExternalUsersStore {
  constructor(private readonly database: Database) {}

  /** Whatever the institution: the row tells it. */
  async find(issuer: string, subject: string): Promise<ExternalUser | undefined> {
    return this.database.transaction('system', async (tx) => {
      const row = await prismaOf(tx).user.findUnique({ where: { externalIssuer_externalSubject: { externalIssuer: issuer, externalSubject: subject } } });
      return row ? { id: row.id, institutionId: row.institutionId, role: row.role, isActive: row.state === 'active', lastSignInAt: row.lastSignInAt } : undefined;
    });
  }

  /** @returns false when the address, or at this moment the person, is there already */
  async add({ institutionId, issuer, subject, email, displayName, role }: NewExternalUser): Promise<boolean> {
    try {
      await this.database.transaction({ institutionId }, async (tx) => {
        await prismaOf(tx).user.create({ data: { id: uuidv7(), institutionId, email, displayName, role, externalIssuer: issuer, externalSubject: subject, lastSignInAt: new Date() } });
      });
      return true;
    } catch (error) {
      if (isUniqueViolation(error)) return false;
      throw error;
    }
  }

  /** What the newest token says of a person; so that lists, and keys of theirs, follow it. */
  async update({ id, institutionId }: Pick<ExternalUser, 'id' | 'institutionId'>, role: Role): Promise<void> {
    await this.database.transaction({ institutionId }, async (tx) => {
      await prismaOf(tx).user.update({ where: { id }, data: { role, lastSignInAt: new Date() } });
    });
  }
}
