import { Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { noteForAudit } from '../../../platform/audit/audit-note.js';
import { Metrics } from '../../../platform/ops/metrics.js';
import { AccessTokens } from '../access-token.js';
import { OAuthError } from '../oauth-error.js';
import { ACCESS_TOKEN_SECONDS } from '../token-life.js';
import { ClientAuthenticationService } from './client-authentication.service.js';
import { CLIENT_ROLE, credentialOf } from './client-principals.js';
import { OAuthClientsStore, type OAuthClient } from './oauth-clients.store.js';
import type { ClientParameters } from './presented-credential.js';
import { coversScope } from './smart-scopes.js';

/** RFC 6749 §4.4.3: without a refresh token, for the client can ask again at any time. */
export interface ClientTokenAnswer {
  access_token: string;
  token_type: 'Bearer';
  expires_in: number;
  scope: string;
}

/** Gives tokens to systems. */
@Injectable()
export class ClientTokenService {
  constructor(
    private readonly authentication: ClientAuthenticationService,
    private readonly clients: OAuthClientsStore,
    private readonly accessTokens: AccessTokens,
    private readonly metrics: Metrics,
  ) {}

  /** @throws OAuthError `invalid_client`, `invalid_scope`, `invalid_request`. @see RFC 6749 §4.4 */
  async forClient(request: FastifyRequest, parameters: ClientParameters & { scope?: string | undefined }): Promise<ClientTokenAnswer> {
    try {
      const client = await this.authentication.authenticate(request, parameters);
      noteForAudit(request, { actor: { kind: 'client', id: client.id, role: CLIENT_ROLE, institutionId: client.institutionId } });
      const scope = scopeOf(client, parameters.scope);
      await this.clients.touch(client);
      const token = await this.accessTokens.signForClient({ ...client, role: CLIENT_ROLE, credential: credentialOf(client) }, scope);
      this.metrics.signIns.inc({ grant: 'client_credentials', outcome: 'success' });
      return { access_token: token, token_type: 'Bearer', expires_in: ACCESS_TOKEN_SECONDS, scope };
    } catch (error) {
      if (error instanceof OAuthError) this.metrics.signIns.inc({ grant: 'client_credentials', outcome: 'refused' });
      throw error;
    }
  }
}

/** What was asked for, where all of it is covered; everything that the client was given when nothing was. */
function scopeOf({ scopes }: OAuthClient, requested: string | undefined): string {
  const asked = [...new Set((requested ?? '').split(' ').filter((scope) => scope !== ''))];
  if (asked.length === 0) return scopes.join(' ');
  if (!asked.every((scope) => coversScope(scopes, scope))) throw new OAuthError('invalid_scope', 'The scope names something that the client was not given.');
  return asked.join(' ');
}
