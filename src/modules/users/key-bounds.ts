import { Injectable } from '@nestjs/common';
import { AppError } from '../../kernel/errors.js';
import type { Principal } from '../../platform/http/access.js';
import { areWithin } from '../../platform/http/addresses.js';
import { ApiKeysStore, type ApiKey } from './api-keys.store.js';

/** From where and until when a credential works. */
export interface Bounds {
  /** CIDR; none = from anywhere. */
  addresses: string[];
  /** null = for ever. */
  expiresAt: Date | null;
}

const FREE: Bounds = { addresses: [], expiresAt: null };

/**
 * What a key may hand on: a credential that it makes or changes works from no address from which it does not, and no longer than it does. Otherwise whoever steals a key that
 * is good for an hour from one machine makes themselves one that is good for ever from everywhere.
 */
@Injectable()
export class KeyBounds {
  constructor(private readonly keys: ApiKeysStore) {}

  /** Of the key that asks; people and clients have none. @throws AppError `unauthenticated` when the key has just gone */
  async of({ kind, id, institutionId }: Principal): Promise<Bounds> {
    if (kind !== 'api-key') return FREE;
    const key = await this.keys.find({ institutionId }, id);
    if (!key) throw new AppError('unauthenticated');
    return key;
  }
}

/** What a new credential gets: what was asked for, and the bounds themselves for what was not. */
export function bounded({ addresses, expiresAt }: Bounds, bounds: Bounds): Bounds {
  const asked = { addresses: addresses.length === 0 ? bounds.addresses : addresses, expiresAt: expiresAt ?? bounds.expiresAt };
  requireWithin(asked, bounds);
  return asked;
}

/** @throws AppError `scope-not-held` for more than the bounds allow */
export function requireWithin({ addresses, expiresAt }: Partial<Pick<ApiKey, 'addresses' | 'expiresAt'>>, bounds: Bounds): void {
  if (addresses !== undefined && !areWithin(addresses, bounds.addresses)) throw new AppError('scope-not-held', { detail: 'A key gives no more addresses than it has itself.' });
  if (expiresAt === undefined || bounds.expiresAt === null) return;
  if (expiresAt === null || expiresAt.getTime() > bounds.expiresAt.getTime()) throw new AppError('scope-not-held', { detail: 'A key gives nothing that lasts longer than itself.' });
}
