import { Body, Controller, Delete, Get, Headers, Param, Patch, Post, Query, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { AppError } from '../../kernel/errors.js';
import { Database } from '../../platform/database/database.js';
import { CurrentPrincipal, RequirePermission, type Principal } from '../../platform/http/access.js';
import { addressRanges, asRanges } from '../../platform/http/addresses.js';
import { Idempotent } from '../../platform/http/idempotency.interceptor.js';
import { requireMatch, TakesIfMatch } from '../../platform/http/if-match.js';
import { Operation } from '../../platform/http/openapi.js';
import { pageOf, pageQuery, pageSchema, type Page, type PageQuery } from '../../platform/http/page.js';
import { etagOf } from '../../platform/http/representation.js';
import { ApiKeysStore, type ApiKey, type ApiKeyChange, type ApiKeyOwner } from './api-keys.store.js';
import { name } from './fields.js';
import { bounded, KeyBounds, requireWithin } from './key-bounds.js';
import { PrincipalsService } from './principals.service.js';
import { lastingPermissions } from './roles.js';
import { newApiKey, sha256Hex } from './secrets.js';
import { PERMISSIONS } from './users.contract.js';

const LATEST_EXPIRY = Date.UTC(2200, 0);
const PREFIX_LENGTH = 9;

const apiKeySchema = z
  .object({
    id: z.uuid(),
    userId: z.uuid().meta({ description: 'The owner: the key never does more than they may' }),
    name: z.string(),
    prefix: z.string().meta({ description: 'First characters of the key' }),
    scopes: z.array(z.string()),
    addresses: z.array(z.string()),
    createdAt: z.iso.datetime(),
    expiresAt: z.iso.datetime().nullable(),
    lastUsedAt: z.iso.datetime().nullable().meta({ description: 'To the minute' }),
    revokedAt: z.iso.datetime().nullable(),
  })
  .meta({ id: 'ApiKey' });

const apiKeyPage = pageSchema(apiKeySchema, 'ApiKeyPage');
const createdApiKey = apiKeySchema.extend({ key: z.string().meta({ description: 'The key itself, shown this once' }) }).meta({ id: 'CreatedApiKey' });

const fields = {
  name: name.meta({ example: 'PACS gateway' }),
  scopes: z.array(z.enum(PERMISSIONS)).min(1).max(PERMISSIONS.length).meta({ example: ['images:write', 'results:read'] }),
  addresses: addressRanges.meta({ example: ['10.20.30.0/24'], description: 'Addresses that it may be used from, CIDR; an address alone is a range of one. None = any.' }),
  expiresAt: z.iso.datetime({ offset: true }).refine((time) => Date.parse(time) > Date.now(), 'must lie in the future').refine((time) => Date.parse(time) < LATEST_EXPIRY, 'must lie before the year 2200').nullish().meta({ example: '2031-01-01T00:00:00Z', description: 'Never when omitted' }),
};
const createApiKey = z.strictObject({ ...fields, addresses: fields.addresses.default([]) }).meta({ id: 'CreateApiKey' });
const updateApiKey = z
  .strictObject(fields)
  .partial()
  .refine((change) => Object.keys(change).length > 0, 'Nothing to change')
  .meta({ id: 'UpdateApiKey', example: { addresses: ['10.20.30.0/24'] } });

type ApiKeyBody = z.infer<typeof apiKeySchema>;

const example: ApiKeyBody = {
  id: '0198c0de-0000-7000-8000-000000000002', userId: '0198c0de-0000-7000-8000-000000000001', name: 'PACS gateway', prefix: 'hv_4kPz0Q', scopes: ['images:write', 'results:read'], addresses: ['10.20.30.0/24'],
  createdAt: '2026-11-21T10:00:00.000Z', expiresAt: null, lastUsedAt: null, revokedAt: null,
};
const ETAG = { ETag: 'Version of the key, for If-Match' };

/** Keys of systems. People see their own; whoever may write users sees and revokes all of the institution. */
@ApiTags('api-keys')
@Controller('api/v1/api-keys')
export class ApiKeysController {
  constructor(
    private readonly keys: ApiKeysStore,
    private readonly principals: PrincipalsService,
    private readonly bounds: KeyBounds,
    private readonly database: Database,
  ) {}

  @Get()
  @RequirePermission('api-keys:read')
  @Operation({ id: 'listApiKeys', summary: 'Keys, revoked ones too', answers: { 200: { description: 'A page, oldest first', schema: apiKeyPage, example: { items: [example], nextCursor: null } } }, problems: ['invalid-query'] })
  async list(@CurrentPrincipal() principal: Principal, @Query({ schema: pageQuery }) page: PageQuery): Promise<Page<ApiKeyBody>> {
    return pageOf(await this.keys.list(reachOf(principal), page), page.limit, bodyOf);
  }

  @Get(':id')
  @RequirePermission('api-keys:read')
  @Operation({ id: 'getApiKey', summary: 'One key', answers: { 200: { description: 'The key, without its secret', schema: apiKeySchema, example, headers: ETAG } }, problems: ['api-key-not-found'] })
  async get(@CurrentPrincipal() principal: Principal, @Param('id', { schema: z.uuid() }) id: string, @Res({ passthrough: true }) reply: FastifyReply): Promise<ApiKeyBody> {
    return answer(await this.load(principal, id), reply);
  }

  @Post()
  @RequirePermission('api-keys:write')
  @Idempotent()
  @Operation({
    id: 'createApiKey',
    summary: 'Make a key',
    description: 'The scopes are a subset of the caller’s permissions. A key that is made by a key works from no more addresses and no longer than that one, and just so where the body says nothing. The key is shown once and stored as a hash.',
    answers: { 201: { description: 'Created', schema: createdApiKey, example: { ...example, key: 'hv_4kPz0Q…' }, headers: { ...ETAG, 'Location': 'Where the key is', 'Cache-Control': 'no-store' } } },
    problems: ['invalid-body', 'scope-not-held', 'conflict', 'idempotency-key-reused'],
  })
  async create(@CurrentPrincipal() principal: Principal, @Body({ schema: createApiKey }) draft: z.infer<typeof createApiKey>, @Res({ passthrough: true }) reply: FastifyReply): Promise<z.infer<typeof createdApiKey>> {
    // It would be no key anywhere: its owner is at home elsewhere.
    if (principal.crossing) throw new AppError('forbidden', { detail: 'Keys are made at home, not in an institution that was entered.' });
    // What emergency access gives ends with it: no key carries it on.
    const held = lastingPermissions(principal);
    const missing = draft.scopes.filter((scope) => !held.has(scope));
    if (missing.length > 0) throw new AppError('scope-not-held', { detail: `Not held: ${missing.join(', ')}.` });
    const asked = { addresses: asRanges(draft.addresses), expiresAt: typeof draft.expiresAt === 'string' ? new Date(draft.expiresAt) : null };
    const limits = bounded(asked, await this.bounds.of(principal));
    const key = newApiKey();
    const created = await this.keys.create({
      institutionId: principal.institutionId,
      userId: principal.userId,
      name: draft.name,
      prefix: key.slice(0, PREFIX_LENGTH),
      keyHash: sha256Hex(key),
      scopes: [...new Set(draft.scopes)],
      ...limits,
    });
    void reply.header('Location', `/api/v1/api-keys/${created.id}`).header('Cache-Control', 'no-store');
    return { ...answer(created, reply), key };
  }

  @Patch(':id')
  @TakesIfMatch()
  @RequirePermission('api-keys:write')
  @Operation({
    id: 'updateApiKey',
    summary: 'Change a key',
    description: 'Its scopes only become fewer. A key gives no key more addresses or a later end than its own. Takes effect at once here, and within 5 seconds in other processes. Send `If-Match` with the ETag to change only what you have seen.',
    answers: { 200: { description: 'Changed', schema: apiKeySchema, example, headers: ETAG } },
    problems: ['invalid-body', 'scope-not-held', 'api-key-not-found', 'conflict', 'precondition-failed'],
  })
  async update(
    @CurrentPrincipal() principal: Principal,
    @Param('id', { schema: z.uuid() }) id: string,
    @Body({ schema: updateApiKey }) change: z.output<typeof updateApiKey>,
    @Headers('if-match') ifMatch: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<ApiKeyBody> {
    const bounds = await this.bounds.of(principal);
    const changed = await this.database.transaction(principal, async (tx) => {
      const key = await this.keys.lock(tx, reachOf(principal), id);
      if (!key) throw new AppError('api-key-not-found');
      requireMatch(ifMatch, apiKeyETag(key));
      if (key.revokedAt !== null) throw new AppError('conflict', { detail: 'The key is revoked.' });
      const more = (change.scopes ?? []).filter((scope) => !key.scopes.includes(scope));
      if (more.length > 0) throw new AppError('scope-not-held', { detail: `The key does not carry ${more.join(', ')}; make another key.` });
      requireWithin(given(change), bounds);
      return this.keys.change(tx, id, given(change));
    });
    this.principals.forgetKeys();
    return answer(changed, reply);
  }

  @Delete(':id')
  @RequirePermission('api-keys:write')
  @Operation({ id: 'revokeApiKey', summary: 'Revoke a key', description: 'Takes effect at once here, and within 5 seconds in other processes.', answers: { 204: { description: 'Revoked' } }, problems: ['api-key-not-found'] })
  async revoke(@CurrentPrincipal() principal: Principal, @Param('id', { schema: z.uuid() }) id: string): Promise<void> {
    await this.keys.revoke(await this.load(principal, id));
    this.principals.forgetKeys();
  }

  private async load(principal: Principal, id: string): Promise<ApiKey> {
    const key = await this.keys.find(reachOf(principal), id);
    if (!key) throw new AppError('api-key-not-found');
    return key;
  }
}

function reachOf({ institutionId, userId, permissions }: Principal): ApiKeyOwner {
  return permissions.has('users:write') ? { institutionId } : { institutionId, userId };
}

function answer(key: ApiKey, reply: FastifyReply): ApiKeyBody {
  void reply.header('ETag', apiKeyETag(key));
  return bodyOf(key);
}

/** Follows what can be edited; a use is no edit. */
function apiKeyETag({ id, name, scopes, addresses, expiresAt, revokedAt }: ApiKey): string {
  return etagOf(id, name, scopes.join(' '), addresses.join(' '), expiresAt?.getTime() ?? '', revokedAt?.getTime() ?? '');
}

/** Without the fields that were left out, which zod types as undefined. */
function given({ name, scopes, addresses, expiresAt }: z.output<typeof updateApiKey>): ApiKeyChange {
  return {
    ...(name !== undefined && { name }), ...(scopes !== undefined && { scopes: [...new Set(scopes)] }), ...(addresses !== undefined && { addresses: asRanges(addresses) }),
    ...(expiresAt !== undefined && { expiresAt: expiresAt === null ? null : new Date(expiresAt) }),
  };
}

function bodyOf({ id, userId, name, prefix, scopes, addresses, createdAt, expiresAt, lastUsedAt, revokedAt }: ApiKey): ApiKeyBody {
  return {
    id, userId, name, prefix, scopes, addresses, createdAt: createdAt.toISOString(), expiresAt: expiresAt?.toISOString() ?? null,
    lastUsedAt: lastUsedAt?.toISOString() ?? null, revokedAt: revokedAt?.toISOString() ?? null,
  };
}
