import { Injectable } from '@nestjs/common';
import { AppError } from '../../../kernel/errors.js';
import { KeyVault } from '../../../platform/crypto/key-vault.js';
import { newSigningSecret, publicKeyText, secretText, type SigningSecret } from './signatures.js';
import type { Webhook } from './webhook.js';

/** A message carries a signature for each: more would make its header too long. */
export const MOST_SECRETS = 5;

/** A secret, and until when it signs: the newest one for ever. */
interface KeptSecret {
  /** base64 */
  hmac: string;
  /** base64 */
  seed: string;
  until: string | null;
}

/** Secrets of an endpoint, ready to be stored, and the new one as its receiver is shown it this once. */
export interface NewSecret {
  sealedSecrets: Uint8Array;
  publicKey: string;
  secret: string;
}

/** Keeps the secrets of endpoints sealed under their institution's key. */
@Injectable()
export class WebhookSecrets {
  constructor(private readonly vault: KeyVault) {}

  /** Of a new endpoint. */
  async first(institutionId: string, webhookId: string): Promise<NewSecret> {
    return this.withNew(institutionId, webhookId, []);
  }

  /**
   * A new secret beside those that are in force, which sign until `overlapUntil`, or until their own end where that comes first.
   *
   * @param overlapUntil  not in the future: they end at once
   * @throws AppError `conflict` when more would sign than a message has room for
   */
  async next({ institutionId, id, sealedSecrets }: Webhook, overlapUntil: Date, now = new Date()): Promise<NewSecret> {
    const before = overlapUntil <= now ? [] : inForce(await this.open(institutionId, id, sealedSecrets), now);
    if (before.length >= MOST_SECRETS) throw new AppError('conflict', { detail: 'Too many earlier secrets still sign. Wait until they end, or let them end now with overlapHours 0.' });
    return this.withNew(institutionId, id, before.map((one) => ({ ...one, until: earlier(one.until, overlapUntil.toISOString()) })));
  }

  /** Those that sign now, the newest first. */
  async signing({ institutionId, id, sealedSecrets }: Webhook, now = new Date()): Promise<SigningSecret[]> {
    return inForce(await this.open(institutionId, id, sealedSecrets), now).map(({ hmac, seed }) => ({ hmac: Buffer.from(hmac, 'base64'), seed: Buffer.from(seed, 'base64') }));
  }

  private async withNew(institutionId: string, webhookId: string, before: readonly KeptSecret[]): Promise<NewSecret> {
    const made = newSigningSecret();
    const kept: KeptSecret[] = [{ hmac: made.hmac.toString('base64'), seed: made.seed.toString('base64'), until: null }, ...before];
    const key = await this.vault.keyOfInstitution(institutionId);
    return { sealedSecrets: key.seal(Buffer.from(JSON.stringify(kept)), contextOf(webhookId)), publicKey: publicKeyText(made), secret: secretText(made) };
  }

  private async open(institutionId: string, webhookId: string, sealed: Uint8Array): Promise<KeptSecret[]> {
    const key = await this.vault.keyOfInstitution(institutionId);
    // `withNew` above is the only one who seals under this context.
    return JSON.parse(key.open(sealed, contextOf(webhookId)).toString('utf8')) as KeptSecret[];
  }
}

function inForce(secrets: readonly KeptSecret[], now: Date): KeptSecret[] {
  return secrets.filter(({ until }) => until === null || new Date(until) > now);
}

function earlier(one: string | null, other: string): string {
  return one !== null && one < other ? one : other;
}

function contextOf(webhookId: string): string {
  return `webhooks/${webhookId}/secrets`;
}
