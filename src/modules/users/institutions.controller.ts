import { Body, Controller, Delete, Get, Headers, Param, Patch, Post, Query, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { AppError } from '../../kernel/errors.js';
import { noteForAudit } from '../../platform/audit/audit-note.js';
import { CurrentPrincipal, Enters, homeOf, RequirePermission, type AuthenticatedRequest, type Principal } from '../../platform/http/access.js';
import { Idempotent } from '../../platform/http/idempotency.interceptor.js';
import { TakesIfMatch } from '../../platform/http/if-match.js';
import { Operation } from '../../platform/http/openapi.js';
import { pageOf, pageQuery, pageSchema, type Page, type PageQuery } from '../../platform/http/page.js';
import { languageOf } from '../../platform/http/problem.js';
import { emailAddress, name } from './fields.js';
import { institutionETag, InstitutionsService, scopeFor } from './institutions.service.js';
import { InstitutionsStore, type Institution, type InstitutionChange } from './institutions.store.js';

const LONGEST_RETENTION_DAYS = 36_500;

const institutionName = name.meta({ example: 'General Hospital' });
const state = z.enum(['active', 'suspended']).meta({ example: 'active', description: 'Nobody of a suspended one gets in. The platform decides it' });
const requireSecondFactor = z.boolean().meta({ description: 'People without a second factor can do nothing but set one up' });

const institutionSchema = z
  .object({ id: z.uuid(), name: z.string(), state, requireSecondFactor, resultRetentionDays: z.number().int().nullable().meta({ description: 'Days after which results are removed; null: as long as their study' }), createdAt: z.iso.datetime() })
  .meta({ id: 'Institution' });
const institutionPage = pageSchema(institutionSchema, 'InstitutionPage');
const createdInstitution = institutionSchema
  .extend({ administrator: z.object({ id: z.uuid(), email: z.string() }).nullable().meta({ description: 'Who was invited to be its first administrator' }) })
  .meta({ id: 'CreatedInstitution' });

const createInstitution = z
  .strictObject({ name: institutionName, administrator: z.strictObject({ email: emailAddress, displayName: name.meta({ example: 'Dr. Grace Hopper' }) }).optional() })
  .meta({ id: 'CreateInstitution', example: { name: 'General Hospital', administrator: { email: 'grace@hospital.example', displayName: 'Dr. Grace Hopper' } } });

const updateInstitution = z
  .strictObject({ name: institutionName, state, requireSecondFactor, resultRetentionDays: z.number().int().min(1).max(LONGEST_RETENTION_DAYS).nullable() })
  .partial()
  .refine((change) => Object.keys(change).length > 0, 'Nothing to change')
  .meta({ id: 'UpdateInstitution', example: { name: 'General Hospital' } });

type InstitutionBody = z.infer<typeof institutionSchema>;

const example: InstitutionBody = { id: '0198c0de-0000-7000-8000-000000000000', name: 'General Hospital', state: 'active', requireSecondFactor: false, resultRetentionDays: null, createdAt: '2026-11-21T10:00:00.000Z' };
const ETAG = { ETag: 'Version of the institution, for If-Match' };

/** Platform administrators see all; everybody else their own. */
@ApiTags('institutions')
@Controller('api/v1/institutions')
export class InstitutionsController {
  constructor(
    private readonly institutions: InstitutionsStore,
    private readonly service: InstitutionsService,
  ) {}

  @Get()
  @RequirePermission('institutions:read')
  @Operation({ id: 'listInstitutions', summary: 'The institutions in reach', description: 'All of the installation for a platform administrator, one’s own for everybody else.', answers: { 200: { description: 'A page, oldest first', schema: institutionPage, example: { items: [example], nextCursor: null } } }, problems: ['invalid-query'] })
  async list(@CurrentPrincipal() principal: Principal, @Query({ schema: pageQuery }) page: PageQuery): Promise<Page<InstitutionBody>> {
    if (principal.role === 'platform-admin') return pageOf(await this.institutions.listAll(page), page.limit, bodyOf);
    const own = await this.institutions.find(principal.institutionId);
    return { items: own && (page.cursor === undefined || own.id > page.cursor) ? [bodyOf(own)] : [], nextCursor: null };
  }

  @Get(':id')
  @RequirePermission('institutions:read')
  @Operation({ id: 'getInstitution', summary: 'One institution', answers: { 200: { description: 'The institution', schema: institutionSchema, example, headers: ETAG } }, problems: ['institution-not-found'] })
  async get(@CurrentPrincipal() principal: Principal, @Param('id', { schema: z.uuid() }) id: string, @Res({ passthrough: true }) reply: FastifyReply): Promise<InstitutionBody> {
    scopeFor(principal, id);
    const institution = await this.institutions.find(id);
    if (!institution) throw new AppError('institution-not-found');
    return answer(institution, reply);
  }

  @Post()
  @RequirePermission('institutions:create')
  @Idempotent()
  @Operation({
    id: 'createInstitution',
    summary: 'Add an institution',
    description: 'Its first administrator, if one is named, is invited by e-mail.',
    answers: { 201: { description: 'Created', schema: createdInstitution, example: { ...example, administrator: { id: '0198c0de-0000-7000-8000-000000000001', email: 'grace@hospital.example' } }, headers: { ...ETAG, Location: 'Where the institution is' } } },
    problems: ['invalid-body', 'conflict', 'idempotency-key-reused'],
  })
  async create(@CurrentPrincipal() principal: Principal, @Body({ schema: createInstitution }) draft: z.infer<typeof createInstitution>, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<z.infer<typeof createdInstitution>> {
    const { institution, administrator } = await this.service.create(principal, draft, languageOf(request.headers['accept-language']));
    void reply.header('Location', `/api/v1/institutions/${institution.id}`);
    return { ...answer(institution, reply), administrator: administrator && { id: administrator.id, email: administrator.email } };
  }

  @Patch(':id')
  @Enters('id')
  @RequirePermission('institutions:write')
  @TakesIfMatch()
  @Operation({
    id: 'updateInstitution',
    summary: 'Change an institution',
    description: 'Its state is changed by a platform administrator only; a suspended institution is cut off at once here, and within 15 seconds in other processes. A platform administrator who is at home in another institution says why in `X-Access-Reason`.',
    answers: { 200: { description: 'Changed', schema: institutionSchema, example, headers: ETAG } },
    problems: ['invalid-body', 'institution-not-found', 'conflict', 'precondition-failed'],
  })
  async update(
    @CurrentPrincipal() principal: Principal,
    @Param('id', { schema: z.uuid() }) id: string,
    @Body({ schema: updateInstitution }) change: z.infer<typeof updateInstitution>,
    @Headers('if-match') ifMatch: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<InstitutionBody> {
    return answer(await this.service.change(principal, id, given(change), ifMatch), reply);
  }

  @Delete(':id')
  @Enters('id')
  @RequirePermission('institutions:write')
  @TakesIfMatch()
  @Operation({
    id: 'deleteInstitution',
    summary: 'Remove an institution',
    description: 'By a platform administrator, and only while it holds nothing of any patient: else suspend it. Its people, systems, settings and keys go along; the record of what was done there stays. The administrator says why in `X-Access-Reason`.',
    answers: { 204: { description: 'Removed' } },
    problems: ['institution-not-found', 'conflict', 'precondition-failed'],
  })
  async remove(@CurrentPrincipal() principal: Principal, @Param('id', { schema: z.uuid() }) id: string, @Headers('if-match') ifMatch: string | undefined, @Req() request: AuthenticatedRequest): Promise<void> {
    await this.service.remove(principal, id, ifMatch);
    // The attempt is on record there, where nobody looks any more: the end goes on record at home.
    noteForAudit(request, { purpose: 'support', object: id, details: { towardsInstitutionId: id } });
    const { crossing: _, ...own } = principal;
    request.principal = { ...own, ...homeOf(principal) };
  }
}

function answer(institution: Institution, reply: FastifyReply): InstitutionBody {
  void reply.header('ETag', institutionETag(institution));
  return bodyOf(institution);
}

function bodyOf({ id, name, state, requireSecondFactor, resultRetentionDays, createdAt }: Institution): InstitutionBody {
  return { id, name, state: state === 'active' ? 'active' : 'suspended', requireSecondFactor, resultRetentionDays, createdAt: createdAt.toISOString() };
}

/** Without the fields that were left out, which zod types as undefined. */
function given({ name, state, requireSecondFactor, resultRetentionDays }: z.infer<typeof updateInstitution>): InstitutionChange {
  return {
    ...(name !== undefined && { name }), ...(state !== undefined && { state }),
    ...(requireSecondFactor !== undefined && { requireSecondFactor }), ...(resultRetentionDays !== undefined && { resultRetentionDays }),
  };
}
