import { Body, Controller, Delete, Get, Headers, Param, Patch, Post, Query, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { AppError } from '../../../kernel/errors.js';
import { noteForAudit } from '../../../platform/audit/audit-note.js';
import { CurrentPrincipal, RequirePermission, type Principal } from '../../../platform/http/access.js';
import { Idempotent } from '../../../platform/http/idempotency.interceptor.js';
import { TakesIfMatch } from '../../../platform/http/if-match.js';
import { Operation } from '../../../platform/http/openapi.js';
import { pageOf, pageQuery, pageSchema, type Page, type PageQuery } from '../../../platform/http/page.js';
import { createClient, draftOf, givenOf, updateClient } from './oauth-client-bodies.js';
import { clientJwks } from './client-jwks.js';
import { clientETag, OAuthClientsService } from './oauth-clients.service.js';
import { CLIENT_AUTHENTICATIONS, OAuthClientsStore, type OAuthClient } from './oauth-clients.store.js';

const clientSchema = z
  .object({
    id: z.uuid().meta({ description: 'Its client_id' }),
    name: z.string(),
    scopes: z.array(z.string()),
    authentication: z.enum(CLIENT_AUTHENTICATIONS),
    jwks: clientJwks.nullable(),
    jwksUri: z.string().nullable(),
    certificateSha256: z.string().nullable(),
    addresses: z.array(z.string()),
    state: z.enum(['active', 'disabled']),
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
    lastUsedAt: z.iso.datetime().nullable().meta({ description: 'To the minute' }),
  })
  .meta({ id: 'OAuthClient' });

const clientPage = pageSchema(clientSchema, 'OAuthClientPage');
const createdClient = clientSchema.extend({ clientSecret: z.string().optional().meta({ description: 'Only of `client_secret`, shown this once' }) }).meta({ id: 'CreatedOAuthClient' });
const clientSecret = z.object({ clientId: z.uuid(), clientSecret: z.string().meta({ description: 'Shown this once' }) }).meta({ id: 'OAuthClientSecret' });

type ClientBody = z.infer<typeof clientSchema>;

const example: ClientBody = {
  id: '0198c0de-0000-7000-8000-000000000005', name: 'Report archive', scopes: ['images:read', 'results:read'], authentication: 'client_secret', jwks: null, jwksUri: null, certificateSha256: null,
  addresses: ['10.20.30.0/24'], state: 'active', createdAt: '2026-11-21T10:00:00.000Z', updatedAt: '2026-11-21T10:00:00.000Z', lastUsedAt: null,
};
const ETAG = { ETag: 'Version of the client, for If-Match' };
const SECRET_HEADERS = { ...ETAG, 'Cache-Control': 'no-store' };

/** Systems that sign in by themselves: with a secret, a signed assertion, or a client certificate. */
@ApiTags('oauth-clients')
@Controller('api/v1/oauth-clients')
export class OAuthClientsController {
  constructor(
    private readonly clients: OAuthClientsStore,
    private readonly service: OAuthClientsService,
  ) {}

  @Get()
  @RequirePermission('oauth-clients:read')
  @Operation({ id: 'listOAuthClients', summary: 'Systems that may sign in', answers: { 200: { description: 'A page, oldest first', schema: clientPage, example: { items: [example], nextCursor: null } } }, problems: ['invalid-query'] })
  async list(@CurrentPrincipal() principal: Principal, @Query({ schema: pageQuery }) page: PageQuery): Promise<Page<ClientBody>> {
    return pageOf(await this.clients.list(principal.institutionId, page), page.limit, bodyOf);
  }

  @Get(':id')
  @RequirePermission('oauth-clients:read')
  @Operation({ id: 'getOAuthClient', summary: 'One client', answers: { 200: { description: 'The client, without its secret', schema: clientSchema, example, headers: ETAG } }, problems: ['oauth-client-not-found'] })
  async get(@CurrentPrincipal() principal: Principal, @Param('id', { schema: z.uuid() }) id: string, @Res({ passthrough: true }) reply: FastifyReply): Promise<ClientBody> {
    const client = await this.clients.findIn(principal.institutionId, id);
    if (!client) throw new AppError('oauth-client-not-found');
    return answer(client, reply);
  }

  @Post()
  @RequirePermission('oauth-clients:write')
  @Idempotent()
  @Operation({
    id: 'createOAuthClient',
    summary: 'Let a system sign in',
    description: 'It acts as the role `service` with a subset of the caller’s permissions. A secret is shown once and stored as a hash; with `private_key_jwt` or `tls_client_auth` there is none.',
    answers: { 201: { description: 'Created', schema: createdClient, example: { ...example, clientSecret: 'hvs_…' }, headers: { ...SECRET_HEADERS, Location: 'Where the client is' } } },
    problems: ['invalid-body', 'scope-not-held', 'conflict', 'idempotency-key-reused'],
  })
  async create(@CurrentPrincipal() principal: Principal, @Body({ schema: createClient }) body: z.output<typeof createClient>, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<z.infer<typeof createdClient>> {
    const { client, secret } = await this.service.create(principal, draftOf(body));
    noteForAudit(request, { object: client.id });
    void reply.header('Location', `/api/v1/oauth-clients/${client.id}`).header('Cache-Control', 'no-store');
    return { ...answer(client, reply), ...(secret !== undefined && { clientSecret: secret }) };
  }

  @Patch(':id')
  @TakesIfMatch()
  @RequirePermission('oauth-clients:write')
  @Operation({
    id: 'updateOAuthClient',
    summary: 'Change a client',
    description: 'Takes effect on its live tokens, too: at once here, within 15 seconds in other processes. A change of keys or certificate ends the tokens that were given before.',
    answers: { 200: { description: 'Changed', schema: clientSchema, example, headers: ETAG } },
    problems: ['invalid-body', 'scope-not-held', 'oauth-client-not-found', 'conflict', 'precondition-failed'],
  })
  async update(
    @CurrentPrincipal() principal: Principal,
    @Param('id', { schema: z.uuid() }) id: string,
    @Body({ schema: updateClient }) change: z.output<typeof updateClient>,
    @Headers('if-match') ifMatch: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<ClientBody> {
    return answer(await this.service.change(principal, id, givenOf(change), ifMatch), reply);
  }

  @Post(':id/secret')
  @TakesIfMatch()
  @RequirePermission('oauth-clients:write')
  @Idempotent()
  @Operation({
    id: 'rotateOAuthClientSecret',
    summary: 'Give a client a new secret',
    description: 'The old secret is refused from now on, and the tokens that were given for it within 15 seconds.',
    answers: { 200: { description: 'The new secret', schema: clientSecret, example: { clientId: example.id, clientSecret: 'hvs_…' }, headers: SECRET_HEADERS } },
    problems: ['scope-not-held', 'oauth-client-not-found', 'conflict', 'precondition-failed', 'idempotency-key-reused'],
  })
  async rotateSecret(
    @CurrentPrincipal() principal: Principal,
    @Param('id', { schema: z.uuid() }) id: string,
    @Headers('if-match') ifMatch: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<z.infer<typeof clientSecret>> {
    const { client, secret } = await this.service.rotateSecret(principal, id, ifMatch);
    void reply.header('ETag', clientETag(client)).header('Cache-Control', 'no-store');
    return { clientId: client.id, clientSecret: secret };
  }

  @Delete(':id')
  @TakesIfMatch()
  @RequirePermission('oauth-clients:write')
  @Operation({
    id: 'deleteOAuthClient',
    summary: 'Let a system sign in no more',
    description: 'Its live tokens are refused at once here, and within 15 seconds in other processes.',
    answers: { 204: { description: 'Deleted' } },
    problems: ['oauth-client-not-found', 'precondition-failed'],
  })
  async delete(@CurrentPrincipal() principal: Principal, @Param('id', { schema: z.uuid() }) id: string, @Headers('if-match') ifMatch: string | undefined): Promise<void> {
    await this.service.delete(principal, id, ifMatch);
  }
}

function answer(client: OAuthClient, reply: FastifyReply): ClientBody {
  void reply.header('ETag', clientETag(client));
  return bodyOf(client);
}

function bodyOf({ id, name, scopes, authentication, jwks, jwksUri, certificateSha256, addresses, state, createdAt, updatedAt, lastUsedAt }: OAuthClient): ClientBody {
  return {
    id, name, scopes, authentication, jwks, jwksUri, certificateSha256, addresses, state,
    createdAt: createdAt.toISOString(), updatedAt: updatedAt.toISOString(), lastUsedAt: lastUsedAt?.toISOString() ?? null,
  };
}
