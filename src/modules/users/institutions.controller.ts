import { Body, Controller, Get, Headers, Param, Patch, Query, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { AppError } from '../../kernel/errors.js';
import { Database } from '../../platform/database/database.js';
import { CurrentPrincipal, RequirePermission, type Principal } from '../../platform/http/access.js';
import { requireMatch, TakesIfMatch } from '../../platform/http/if-match.js';
import { etagOf } from '../../platform/http/representation.js';
import { Operation } from '../../platform/http/openapi.js';
import { pageQuery, pageSchema, type Page, type PageQuery } from '../../platform/http/page.js';
import { name } from './fields.js';
import { InstitutionsStore, type Institution } from './institutions.store.js';

const institutionSchema = z.object({ id: z.uuid(), name: z.string(), createdAt: z.iso.datetime() }).meta({ id: 'Institution' });
const institutionPage = pageSchema(institutionSchema, 'InstitutionPage');
const updateInstitution = z.strictObject({ name: name.meta({ example: 'General Hospital' }) }).meta({ id: 'UpdateInstitution' });

type InstitutionBody = z.infer<typeof institutionSchema>;

const example: InstitutionBody = { id: '0198c0de-0000-7000-8000-000000000000', name: 'General Hospital', createdAt: '2026-11-21T10:00:00.000Z' };
const ETAG = { ETag: 'Version of the institution, for If-Match' };

/** Everybody sees their own institution only. */
@ApiTags('institutions')
@Controller('api/v1/institutions')
export class InstitutionsController {
  constructor(
    private readonly institutions: InstitutionsStore,
    private readonly database: Database,
  ) {}

  @Get()
  @RequirePermission('institutions:read')
  @Operation({ id: 'listInstitutions', summary: 'The institutions in reach', answers: { 200: { description: 'A page', schema: institutionPage, example: { items: [example], nextCursor: null } } }, problems: ['invalid-query'] })
  async list(@CurrentPrincipal() principal: Principal, @Query({ schema: pageQuery }) { cursor }: PageQuery): Promise<Page<InstitutionBody>> {
    const own = await this.institutions.find(principal.institutionId);
    return { items: own && (cursor === undefined || own.id > cursor) ? [bodyOf(own)] : [], nextCursor: null };
  }

  @Get(':id')
  @RequirePermission('institutions:read')
  @Operation({ id: 'getInstitution', summary: 'One institution', answers: { 200: { description: 'The institution', schema: institutionSchema, example, headers: ETAG } }, problems: ['institution-not-found'] })
  async get(@CurrentPrincipal() principal: Principal, @Param('id', { schema: z.uuid() }) id: string, @Res({ passthrough: true }) reply: FastifyReply): Promise<InstitutionBody> {
    const institution = id === principal.institutionId ? await this.institutions.find(id) : undefined;
    if (!institution) throw new AppError('institution-not-found');
    return answer(institution, reply);
  }

  @Patch(':id')
  @RequirePermission('institutions:write')
  @TakesIfMatch()
  @Operation({
    id: 'updateInstitution',
    summary: 'Rename an institution',
    answers: { 200: { description: 'Renamed', schema: institutionSchema, example, headers: ETAG } },
    problems: ['invalid-body', 'institution-not-found', 'precondition-failed'],
  })
  async update(
    @CurrentPrincipal() principal: Principal,
    @Param('id', { schema: z.uuid() }) id: string,
    @Body({ schema: updateInstitution }) change: z.infer<typeof updateInstitution>,
    @Headers('if-match') ifMatch: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<InstitutionBody> {
    const renamed = await this.database.transaction(principal, async (tx) => {
      const institution = id === principal.institutionId ? await this.institutions.lock(tx, id) : undefined;
      if (!institution) throw new AppError('institution-not-found');
      requireMatch(ifMatch, tagOf(institution));
      return this.institutions.rename(tx, id, change.name);
    });
    return answer(renamed, reply);
  }
}

function answer(institution: Institution, reply: FastifyReply): InstitutionBody {
  void reply.header('ETag', tagOf(institution));
  return bodyOf(institution);
}

function tagOf({ id, name }: Institution): string {
  return etagOf(id, name);
}

function bodyOf({ id, name, createdAt }: Institution): InstitutionBody {
  return { id, name, createdAt: createdAt.toISOString() };
}
