import { Body, Controller, Delete, Get, Headers, Param, Patch, Post, Query, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { AppError } from '../../../kernel/errors.js';
import { Database } from '../../../platform/database/database.js';
import { CurrentPrincipal, RequirePermission, type Principal } from '../../../platform/http/access.js';
import { addressRanges, asRanges } from '../../../platform/http/addresses.js';
import { Idempotent } from '../../../platform/http/idempotency.interceptor.js';
import { requireMatch, TakesIfMatch } from '../../../platform/http/if-match.js';
import { Operation } from '../../../platform/http/openapi.js';
import { pageOf, pageQuery, pageSchema, type Page, type PageQuery } from '../../../platform/http/page.js';
import { etagOf } from '../../../platform/http/representation.js';
import { DimseCallersStore, untaken, type DimseCaller, type DimseCallerDraft } from './dimse-callers.store.js';

/** @see PS3.5 §6.2, AE: printable ASCII but the backslash; spaces at the ends do not count */
const aeTitle = z.string().trim().regex(/^[\x20-\x5b\x5d-\x7e]{1,16}$/, 'must be an AE title: 1 to 16 printable ASCII characters without a backslash').meta({ example: 'CT_ROOM_1', description: 'Calling AE title, exactly as the modality sends it' });
const addresses = addressRanges.meta({ example: ['10.20.30.0/24', '2001:db8::17/128'], description: 'Addresses that it may call from, CIDR; an address alone is a range of one. None = any.' });
const description = z.string().trim().min(1).max(200).regex(/^[^\u0000-\u001f\u007f-\u009f]*$/, 'must be one line of text').nullable().meta({ example: 'CT, room 1', description: 'For people' });

const callerSchema = z
  .object({ id: z.uuid(), aeTitle: z.string(), addresses: z.array(z.string()), description: z.string().nullable(), createdAt: z.iso.datetime(), updatedAt: z.iso.datetime() })
  .meta({ id: 'DimseCaller' });

const callerPage = pageSchema(callerSchema, 'DimseCallerPage');
const createCaller = z.strictObject({ aeTitle, addresses: addresses.default([]), description: description.default(null) }).meta({ id: 'CreateDimseCaller' });
const updateCaller = z
  .strictObject({ aeTitle, addresses, description })
  .partial()
  .refine((change) => Object.keys(change).length > 0, 'Nothing to change')
  .meta({ id: 'UpdateDimseCaller', example: { addresses: ['10.20.30.0/24'] } });

type CallerBody = z.infer<typeof callerSchema>;

const example: CallerBody = {
  id: '0198c0de-0000-7000-8000-000000000003', aeTitle: 'CT_ROOM_1', addresses: ['10.20.30.0/24'], description: 'CT, room 1',
  createdAt: '2026-11-21T10:00:00.000Z', updatedAt: '2026-11-21T10:00:00.000Z',
};
const ETAG = { ETag: 'Version of the caller, for If-Match' };

/** Who may send by DIMSE, and to which institution the images belong: to that of whoever makes the entry. */
@ApiTags('dimse')
@Controller('api/v1/dimse-callers')
export class DimseCallersController {
  constructor(
    private readonly callers: DimseCallersStore,
    private readonly database: Database,
  ) {}

  @Get()
  @RequirePermission('dimse-callers:read')
  @Operation({ id: 'listDimseCallers', summary: 'Who may send by DIMSE', answers: { 200: { description: 'A page, oldest first', schema: callerPage, example: { items: [example], nextCursor: null } } }, problems: ['invalid-query'] })
  async list(@CurrentPrincipal() principal: Principal, @Query({ schema: pageQuery }) page: PageQuery): Promise<Page<CallerBody>> {
    return pageOf(await this.callers.list(principal.institutionId, page), page.limit, bodyOf);
  }

  @Get(':id')
  @RequirePermission('dimse-callers:read')
  @Operation({ id: 'getDimseCaller', summary: 'One caller', answers: { 200: { description: 'The caller', schema: callerSchema, example, headers: ETAG } }, problems: ['dimse-caller-not-found'] })
  async get(@CurrentPrincipal() principal: Principal, @Param('id', { schema: z.uuid() }) id: string, @Res({ passthrough: true }) reply: FastifyReply): Promise<CallerBody> {
    const caller = await this.callers.find(principal.institutionId, id);
    if (!caller) throw new AppError('dimse-caller-not-found');
    return answer(caller, reply);
  }

  @Post()
  @RequirePermission('dimse-callers:write')
  @Idempotent()
  @Operation({
    id: 'createDimseCaller',
    summary: 'Let a modality or PACS send',
    description: 'What it sends belongs to the institution of whoever makes this entry, so an AE title stands once in an installation. Takes effect with the next association.',
    answers: { 201: { description: 'Created', schema: callerSchema, example, headers: { ...ETAG, Location: 'Where the caller is' } } },
    problems: ['invalid-body', 'ae-title-taken', 'conflict', 'idempotency-key-reused'],
  })
  async create(@CurrentPrincipal() principal: Principal, @Body({ schema: createCaller }) draft: z.infer<typeof createCaller>, @Res({ passthrough: true }) reply: FastifyReply): Promise<CallerBody> {
    const caller = await this.callers.create(principal.institutionId, { ...draft, addresses: asRanges(draft.addresses) });
    if (!caller) throw taken();
    void reply.header('Location', `/api/v1/dimse-callers/${caller.id}`);
    return answer(caller, reply);
  }

  @Patch(':id')
  @TakesIfMatch()
  @RequirePermission('dimse-callers:write')
  @Operation({
    id: 'updateDimseCaller',
    summary: 'Change a caller',
    description: 'Takes effect with the next association. Send `If-Match` with the ETag to change only what you have seen.',
    answers: { 200: { description: 'Changed', schema: callerSchema, example, headers: ETAG } },
    problems: ['invalid-body', 'dimse-caller-not-found', 'ae-title-taken', 'precondition-failed'],
  })
  async update(
    @CurrentPrincipal() principal: Principal,
    @Param('id', { schema: z.uuid() }) id: string,
    @Body({ schema: updateCaller }) change: z.infer<typeof updateCaller>,
    @Headers('if-match') ifMatch: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<CallerBody> {
    const changed = await untaken(this.database.transaction(principal, async (tx) => {
      const caller = await this.callers.lock(tx, principal.institutionId, id);
      if (!caller) throw new AppError('dimse-caller-not-found');
      requireMatch(ifMatch, callerETag(caller));
      return this.callers.change(tx, id, given(change));
    }));
    if (!changed) throw taken();
    return answer(changed, reply);
  }

  @Delete(':id')
  @TakesIfMatch()
  @RequirePermission('dimse-callers:write')
  @Operation({
    id: 'deleteDimseCaller',
    summary: 'Let a caller send no more',
    description: 'Refuses its next association, and within 5 seconds the next image of one that is open. What it sent stays.',
    answers: { 204: { description: 'Deleted' } },
    problems: ['dimse-caller-not-found', 'precondition-failed'],
  })
  async delete(@CurrentPrincipal() principal: Principal, @Param('id', { schema: z.uuid() }) id: string, @Headers('if-match') ifMatch: string | undefined): Promise<void> {
    await this.database.transaction(principal, async (tx) => {
      const caller = await this.callers.lock(tx, principal.institutionId, id);
      if (!caller) throw new AppError('dimse-caller-not-found');
      requireMatch(ifMatch, callerETag(caller));
      await this.callers.delete(tx, id);
    });
  }
}

function answer(caller: DimseCaller, reply: FastifyReply): CallerBody {
  void reply.header('ETag', callerETag(caller));
  return bodyOf(caller);
}

function callerETag({ id, updatedAt }: DimseCaller): string {
  return etagOf(id, updatedAt.getTime());
}

function bodyOf({ id, aeTitle, addresses, description, createdAt, updatedAt }: DimseCaller): CallerBody {
  return { id, aeTitle, addresses, description, createdAt: createdAt.toISOString(), updatedAt: updatedAt.toISOString() };
}

/** Without the fields that were left out, which zod types as undefined. */
function given({ aeTitle, addresses, description }: z.infer<typeof updateCaller>): Partial<DimseCallerDraft> {
  return { ...(aeTitle !== undefined && { aeTitle }), ...(addresses !== undefined && { addresses: asRanges(addresses) }), ...(description !== undefined && { description }) };
}

function taken(): AppError {
  return new AppError('ae-title-taken', { detail: 'An AE title stands once in an installation, for it decides to which institution images belong.' });
}
