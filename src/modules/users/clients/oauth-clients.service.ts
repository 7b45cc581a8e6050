import { Injectable } from '@nestjs/common';
import { AppError } from '../../../kernel/errors.js';
import { Database } from '../../../platform/database/database.js';
import type { Principal } from '../../../platform/http/access.js';
import { requireMatch } from '../../../platform/http/if-match.js';
import { etagOf } from '../../../platform/http/representation.js';
import { bounded, KeyBounds, requireWithin, type Bounds } from '../key-bounds.js';
import { lastingPermissions } from '../roles.js';
import { newClientSecret, sha256Hex } from '../secrets.js';
import { CLIENT_PERMISSIONS } from '../users.contract.js';
import { ClientPrincipals } from './client-principals.js';
import { OAuthClientsStore, untaken, type ClientAuthentication, type ClientCredentials, type OAuthClient, type OAuthClientChange } from './oauth-clients.store.js';

export interface OAuthClientDraft {
  name: string;
  scopes: string[];
  addresses: string[];
  authentication: ClientAuthentication;
  credentials: Partial<ClientCredentials>;
}

/** A client, and its secret where one was made just now. */
export interface MadeClient {
  client: OAuthClient;
  secret: string | undefined;
}

const CREDENTIAL_OF = { jwks: 'private_key_jwt', jwksUri: 'private_key_jwt', certificateSha256: 'tls_client_auth' } as const;

/** Decides which systems may sign in, and as what. */
@Injectable()
export class OAuthClientsService {
  constructor(
    private readonly clients: OAuthClientsStore,
    private readonly principals: ClientPrincipals,
    private readonly bounds: KeyBounds,
    private readonly database: Database,
  ) {}

  /** @throws AppError `scope-not-held`, also for what a key must not hand on; `conflict` for a certificate of another client */
  async create(principal: Principal, { credentials, ...draft }: OAuthClientDraft): Promise<MadeClient> {
    requireScopes(draft.scopes, principal);
    const { addresses } = bounded({ addresses: draft.addresses, expiresAt: null }, requireLasting(await this.bounds.of(principal)));
    const secret = draft.authentication === 'client_secret' ? newClientSecret() : undefined;
    const client = await this.clients.create({
      ...draft, addresses, institutionId: principal.institutionId, createdBy: principal.userId, state: 'active',
      jwks: null, jwksUri: null, certificateSha256: null, ...credentials, secretHash: secret === undefined ? null : sha256Hex(secret),
    });
    if (!client) throw certificateTaken();
    return { client, secret };
  }

  /**
   * @param ifMatch  the ETag that the caller has read
   * @throws AppError `oauth-client-not-found`, `precondition-failed`, `scope-not-held`; `invalid-body` for a credential of another kind; `conflict` for a certificate of another client
   */
  async change(principal: Principal, id: string, change: OAuthClientChange, ifMatch: string | undefined): Promise<OAuthClient> {
    const changed = await untaken(this.underLock(principal, id, ifMatch, (client, write) => {
      // What it has already may stay, whoever edits its name.
      requireScopes((change.scopes ?? []).filter((scope) => !client.scopes.includes(scope)), principal);
      requireKind(client, change);
      return write(change);
    }));
    if (!changed) throw certificateTaken();
    return changed;
  }

  /**
   * A new secret, with which the old one and every token that was given for it are dead.
   *
   * @throws AppError `oauth-client-not-found`, `precondition-failed`; `conflict` when the client has no secret
   */
  async rotateSecret(principal: Principal, id: string, ifMatch: string | undefined): Promise<{ client: OAuthClient; secret: string }> {
    const secret = newClientSecret();
    const client = await this.underLock(principal, id, ifMatch, (found, write) => {
      if (found.authentication !== 'client_secret') throw new AppError('conflict', { detail: 'This client has no secret: it signs in by other means.' });
      return write({ secretHash: sha256Hex(secret) });
    });
    return { client, secret };
  }

  /** @throws AppError `oauth-client-not-found`, `precondition-failed` */
  async delete(principal: Principal, id: string, ifMatch: string | undefined): Promise<void> {
    await this.database.transaction(principal, async (tx) => {
      const client = await this.clients.lock(tx, principal.institutionId, id);
      if (!client) throw new AppError('oauth-client-not-found');
      requireMatch(ifMatch, clientETag(client));
      await this.clients.delete(tx, id);
    });
    this.principals.forget();
  }

  private async underLock(
    principal: Principal, id: string, ifMatch: string | undefined,
    decide: (client: OAuthClient, write: (change: OAuthClientChange) => Promise<OAuthClient>) => Promise<OAuthClient>,
  ): Promise<OAuthClient> {
    const bounds = await this.bounds.of(principal);
    const changed = await this.database.transaction(principal, async (tx) => {
      const client = await this.clients.lock(tx, principal.institutionId, id);
      if (!client) throw new AppError('oauth-client-not-found');
      requireMatch(ifMatch, clientETag(client));
      return decide(client, (change) => {
        // With a new secret or other keys whoever holds the key is the client: they must be able to do all that it can.
        if (principal.kind === 'api-key') {
          requireHeld(change.scopes ?? client.scopes, principal);
          requireWithin({ addresses: change.addresses ?? client.addresses }, requireLasting(bounds));
        }
        return this.clients.change(tx, id, change);
      });
    });
    this.principals.forget();
    return changed;
  }
}

/** Follows what can be edited; a token for the client is no edit. */
export function clientETag({ id, updatedAt, secretHash }: OAuthClient): string {
  // The hash is the hash of a random secret, and the tag is a hash of it.
  return etagOf(id, updatedAt.getTime(), secretHash ?? '');
}

/** Nobody gives what they lack, and a system is given nothing that is for people. */
function requireScopes(scopes: readonly string[], principal: Principal): void {
  requireHeld(scopes, principal);
  const forPeople = scopes.filter((scope) => !(CLIENT_PERMISSIONS as readonly string[]).includes(scope));
  if (forPeople.length > 0) throw new AppError('scope-not-held', { detail: `Not for systems: ${forPeople.join(', ')}.` });
}

function requireHeld(scopes: readonly string[], principal: Principal): void {
  const held = lastingPermissions(principal);
  const missing = scopes.filter((scope) => !held.has(scope));
  if (missing.length > 0) throw new AppError('scope-not-held', { detail: `Not held: ${missing.join(', ')}.` });
}

/** Clients have no end. @throws AppError `scope-not-held` for a key that has one */
function requireLasting(bounds: Bounds): Bounds {
  requireWithin({ expiresAt: null }, bounds);
  return bounds;
}

function requireKind(client: OAuthClient, change: OAuthClientChange): void {
  for (const [field, authentication] of Object.entries(CREDENTIAL_OF)) {
    // The keys of the table are names of credentials.
    const value = change[field as keyof typeof CREDENTIAL_OF];
    if (value !== undefined && value !== null && client.authentication !== authentication) {
      throw new AppError('invalid-body', { errors: [{ pointer: `/${field}`, detail: `does not belong to ${client.authentication}` }] });
    }
  }
}

function certificateTaken(): AppError {
  return new AppError('conflict', { detail: 'This certificate belongs to another client.' });
}
