import { Injectable } from '@nestjs/common';
import { AppError, type Language } from '../../kernel/errors.js';
import type { Transaction } from '../../kernel/transaction.js';
import { Database } from '../../platform/database/database.js';
import { Outbox } from '../../platform/queue/outbox.js';
import { mailRequested, type MailKind } from './links/mail-requested.js';
import { PrincipalsService } from './principals.service.js';
import { SessionsStore } from './sessions/sessions.store.js';
import { UsersStore, type User } from './users.store.js';

export interface CredentialChange {
  /** The sign-in that goes on: that of the person who makes the change. All others end. */
  keptSession?: string | undefined;
  /** What the person is told by e-mail. */
  notice?: MailKind;
  language: Language;
}

/** What goes with every change of how a person signs in: their other sign-ins end, and they hear of it. */
@Injectable()
export class CredentialChanges {
  constructor(
    private readonly users: UsersStore,
    private readonly sessions: SessionsStore,
    private readonly principals: PrincipalsService,
    private readonly outbox: Outbox,
    private readonly database: Database,
  ) {}

  /**
   * @param work  makes the change, under the lock on the user; throws when it cannot be made
   * @throws AppError `user-not-found`; what `work` throws
   */
  async apply<T>({ id, institutionId }: Pick<User, 'id' | 'institutionId'>, { keptSession, notice, language }: CredentialChange, work: (tx: Transaction, user: User) => Promise<T>): Promise<T> {
    const result = await this.database.transaction({ institutionId }, async (tx) => {
      const user = await this.users.lock(tx, id);
      if (user?.institutionId !== institutionId) throw new AppError('user-not-found');
      const done = await work(tx, user);
      await this.sessions.endAllOf(tx, id, keptSession);
      if (notice) await this.outbox.append(tx, mailRequested({ institutionId, userId: id, kind: notice, language, createdBy: null }));
      return done;
    });
    this.principals.forgetPeople();
    return result;
  }
}
