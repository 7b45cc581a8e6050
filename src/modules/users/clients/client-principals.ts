import { createHash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { ExpiringCache } from '../../../kernel/expiring-cache.js';
import { isAllowed } from '../../../platform/http/addresses.js';
import { canonicalJson } from '../../../platform/http/canonical-json.js';
import type { Principal } from '../../../platform/http/access.js';
import { Metrics } from '../../../platform/ops/metrics.js';
import type { AccessTokenClaims } from '../access-token.js';
import { InstitutionStatesStore } from '../institution-states.store.js';
import { clientPermissions } from '../roles.js';
import { isSameDigest } from '../secrets.js';
import { OAuthClientsStore, type OAuthClient } from './oauth-clients.store.js';

/** What a client acts as. */
export const CLIENT_ROLE = 'service';
/** A client disabled elsewhere is cut off here after at most this; in the same process at once. */
const LIFETIME_MS = 15_000;
const CAPACITY = 10_000;

/** Turns a client's token or certificate into who calls, without the database when it asked a moment ago. */
@Injectable()
export class ClientPrincipals {
  private readonly byId = new ExpiringCache<OAuthClient>(LIFETIME_MS, CAPACITY);
  private readonly byCertificate = new ExpiringCache<OAuthClient>(LIFETIME_MS, CAPACITY);

  constructor(
    private readonly clients: OAuthClientsStore,
    private readonly institutions: InstitutionStatesStore,
    { caches }: Metrics,
  ) {
    caches.watch('client', this.byId.tally, this.byCertificate.tally);
  }

  /**
   * @returns null when the client is gone, disabled, elsewhere, or has other credentials than those that the token was given for
   * @throws AppError `institution-suspended`
   */
  async ofToken({ sub, client_id, institution_id, scope, credential }: AccessTokenClaims, address: string): Promise<Principal | null> {
    if (client_id !== sub || credential === undefined) return null;
    const client = await this.byId.get(sub, (id) => this.clients.find(id));
    if (client?.institutionId !== institution_id || !isSameDigest(credential, credentialOf(client)) || !mayCall(client, address)) return null;
    await this.institutions.requireActive(institution_id);
    return principalOf(client, scope.split(' '));
  }

  /**
   * @param sha256  of a certificate that the TLS layer has verified, hex
   * @returns null when it belongs to no client that may call from there
   * @throws AppError `institution-suspended`
   */
  async ofCertificate(sha256: string, address: string): Promise<Principal | null> {
    const client = await this.byCertificate.get(sha256, async (fingerprint) => {
      const found = await this.clients.findByCertificate(fingerprint);
      if (found) await this.clients.touch(found);
      return found;
    });
    if (client?.authentication !== 'tls_client_auth' || !mayCall(client, address)) return null;
    await this.institutions.requireActive(client.institutionId);
    return principalOf(client, client.scopes);
  }

  /** Whether the client is active, its institution is open, and it may call from this address. */
  async isWelcome(client: OAuthClient, address: string): Promise<boolean> {
    return mayCall(client, address) && (await this.institutions.of(client.institutionId)) === 'active';
  }

  /** After a change to a client. */
  forget(): void {
    this.byId.clear();
    this.byCertificate.clear();
  }
}

function mayCall({ state, addresses }: OAuthClient, address: string): boolean {
  return state === 'active' && isAllowed(addresses, address);
}

/** Stands for a client's present credentials in its tokens: with new ones, or fewer keys, the old tokens are void. Tells nothing about them. */
export function credentialOf({ authentication, secretHash, jwks, jwksUri, certificateSha256 }: OAuthClient): string {
  return createHash('sha256').update(canonicalJson({ authentication, secretHash, jwks, jwksUri, certificateSha256 })).digest('base64url').slice(0, 22);
}

function principalOf({ id, institutionId, scopes: given }: OAuthClient, scopes: readonly string[]): Principal {
  return { id, kind: 'client', userId: id, institutionId, role: CLIENT_ROLE, permissions: clientPermissions(scopes, given), scopes };
}
