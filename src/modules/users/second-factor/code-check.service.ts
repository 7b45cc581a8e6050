import { Injectable } from '@nestjs/common';
import { KeyVault } from '../../../platform/crypto/key-vault.js';
import { recoveryCodeHash } from './recovery-codes.js';
import { SecondFactorStore } from './second-factor.store.js';
import { isTotpCode, stepOfCode } from './totp.js';

interface Person {
  id: string;
  institutionId: string;
}

/** Seals secrets of authenticator apps, and takes codes: each is good once. */
@Injectable()
export class CodeCheckService {
  constructor(
    private readonly store: SecondFactorStore,
    private readonly vault: KeyVault,
  ) {}

  /** Under the key of the institution, so that it goes along when keys rotate, and with them when they are destroyed. */
  async seal({ id, institutionId }: Person, secret: string): Promise<Buffer> {
    return (await this.vault.keyOfInstitution(institutionId)).seal(Buffer.from(secret), context(id));
  }

  async open({ id, institutionId }: Person, sealed: Uint8Array): Promise<string> {
    return (await this.vault.keyOfInstitution(institutionId)).open(sealed, context(id)).toString();
  }

  /** Whether the text is a code of the person's app, or one of their recovery codes, and was not used before: now it is. */
  async take(person: Person, text: string): Promise<boolean> {
    const code = text.replace(/\s/g, '');
    return isTotpCode(code) ? this.takeTotp(person, code) : this.takeRecoveryCode(person, code);
  }

  private async takeTotp(person: Person, code: string): Promise<boolean> {
    const factor = await this.store.find(person.institutionId, person.id);
    if (!factor?.confirmedAt || factor.sealedSecret === null) return false;
    const step = await stepOfCode(await this.open(person, factor.sealedSecret), code);
    return step !== null && this.store.takeStep(person.institutionId, person.id, step);
  }

  private async takeRecoveryCode({ id, institutionId }: Person, code: string): Promise<boolean> {
    const hash = recoveryCodeHash(id, code);
    return hash !== undefined && this.store.takeRecoveryCode(institutionId, id, hash);
  }
}

function context(userId: string): string {
  return `users/${userId}/totp`;
}
