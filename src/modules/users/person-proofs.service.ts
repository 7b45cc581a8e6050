import { Injectable } from '@nestjs/common';
import { AppError } from '../../kernel/errors.js';
import { AccountsStore } from './accounts.store.js';
import { SignInService } from './sign-in.service.js';
import { PersonProofs, type PersonalProof } from './users.contract.js';

/** For signatures of other modules. */
@Injectable()
export class StoredPersonProofs extends PersonProofs {
  constructor(
    private readonly accounts: AccountsStore,
    private readonly signIns: SignInService,
  ) {
    super();
  }

  async prove({ institutionId, userId }: { institutionId: string; userId: string }, proof: PersonalProof): Promise<{ displayName: string }> {
    const account = await this.accounts.byId(institutionId, userId);
    if (!account) throw new AppError('user-not-found');
    if ('password' in proof && account.passwordHash === null) throw new AppError('conflict', { detail: 'You sign in elsewhere and have no password here: sign with the code of your second factor.' });
    await this.signIns.prove(account, proof);
    return { displayName: account.displayName };
  }

  async nameOf({ institutionId, userId }: { institutionId: string; userId: string }): Promise<string | undefined> {
    return (await this.accounts.byId(institutionId, userId))?.displayName;
  }
}
