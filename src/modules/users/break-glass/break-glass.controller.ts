import { Body, Controller, Delete, Get, Param, Post, Query, Req } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { noteForAudit } from '../../../platform/audit/audit-note.js';
import { Authenticated, CurrentPrincipal, RequirePermission, type Principal } from '../../../platform/http/access.js';
import { Idempotent } from '../../../platform/http/idempotency.interceptor.js';
import { Operation } from '../../../platform/http/openapi.js';
import { pageOf, pageQuery, pageSchema, type Page } from '../../../platform/http/page.js';
import { EMERGENCY_PERMISSIONS } from '../users.contract.js';
import { BreakGlassService } from './break-glass.service.js';
import { BreakGlassStore, type BreakGlassGrant } from './break-glass.store.js';

const LONGEST_MINUTES = 240;

const takeBody = z
  .strictObject({
    reason: z.string().trim().min(20).max(500).regex(/^[^\u0000-\u001f\u007f-\u009f]*$/, 'must be one line of text').meta({ description: 'Why, for those who review it: no patient data in it' }),
    minutes: z.int().min(1).max(LONGEST_MINUTES).default(60).meta({ description: 'For how long' }),
  })
  .meta({ id: 'TakeBreakGlass', example: { reason: 'Unconscious patient in the emergency room, no radiologist on site', minutes: 60 } });

const grantSchema = z
  .object({
    id: z.uuid(),
    userId: z.uuid(),
    reason: z.string(),
    permissions: z.array(z.string()).meta({ description: 'What it gives, beside what the person may do anyway' }),
    active: z.boolean(),
    createdAt: z.iso.datetime(),
    expiresAt: z.iso.datetime(),
    endedAt: z.iso.datetime().nullable().meta({ description: 'When somebody ended it before its time' }),
    reviewedBy: z.uuid().nullable(),
    reviewedAt: z.iso.datetime().nullable(),
  })
  .meta({ id: 'BreakGlassGrant', description: 'Access that somebody took in an emergency' });
type GrantJson = z.infer<typeof grantSchema>;

const listQuery = z.strictObject({
  ...pageQuery.shape,
  active: z.enum(['true', 'false']).transform((text) => text === 'true').optional().meta({ description: 'Only those in force, or only those that are over', example: 'true' }),
});

const example: GrantJson = {
  id: '0198c0de-0000-7000-8000-0000000000b1', userId: '0198c0de-0000-7000-8000-000000000001', reason: 'Unconscious patient in the emergency room, no radiologist on site',
  permissions: [...EMERGENCY_PERMISSIONS], active: true, createdAt: '2026-11-21T10:00:00.000Z', expiresAt: '2026-11-21T11:00:00.000Z', endedAt: null, reviewedBy: null, reviewedAt: null,
};
const ENDED: GrantJson = { ...example, active: false, reviewedBy: '0198c0de-0000-7000-8000-000000000002', reviewedAt: '2026-11-22T08:00:00.000Z' };

/** Emergency access. Everybody sees their own; whoever may read the audit sees all of the institution. */
@ApiTags('break-glass')
@Controller('api/v1/break-glass')
export class BreakGlassController {
  constructor(
    private readonly store: BreakGlassStore,
    private readonly service: BreakGlassService,
  ) {}

  @Post()
  @RequirePermission('break-glass:use')
  @Idempotent()
  @Operation({
    id: 'takeBreakGlass', summary: 'Take emergency access',
    description:
      `For people, in their own institution: gives ${EMERGENCY_PERMISSIONS.map((permission) => `\`${permission}\``).join(', ')} at once, to this and every other sign-in of the person. The institution’s administrators are told; `
      + 'every call that needs it is on record with the purpose `emergency`.',
    answers: { 201: { description: 'In force', schema: grantSchema, example } },
    problems: ['invalid-body', 'conflict', 'idempotency-key-reused'],
  })
  async take(@Body({ schema: takeBody }) { reason, minutes }: z.output<typeof takeBody>, @CurrentPrincipal() principal: Principal, @Req() request: FastifyRequest): Promise<GrantJson> {
    noteForAudit(request, { purpose: 'emergency', reason });
    const grant = await this.service.take(principal, reason, minutes);
    noteForAudit(request, { object: grant.id, details: { minutes } });
    return grantJson(grant);
  }

  @Get()
  @Authenticated()
  @Operation({
    id: 'listBreakGlass', summary: 'List emergency accesses', description: 'Newest first: those of the institution for whoever may read the audit, one’s own for everybody else.',
    answers: { 200: { description: 'A page', schema: pageSchema(grantSchema, 'BreakGlassGrantPage'), example: { items: [example], nextCursor: null } } },
    problems: ['invalid-query'],
  })
  async list(@Query({ schema: listQuery }) { active, ...page }: z.output<typeof listQuery>, @CurrentPrincipal() { institutionId, userId, permissions }: Principal): Promise<Page<GrantJson>> {
    return pageOf(await this.store.list({ institutionId, ...(!permissions.has('audit:read') && { userId }) }, page, active), page.limit, grantJson);
  }

  @Delete(':id')
  @Authenticated()
  @Operation({
    id: 'endBreakGlass', summary: 'End an emergency access before its time', description: 'One’s own, or with `users:write` anybody’s. Takes effect at once here, and within 3 seconds in other processes. One that is over stays as it is.',
    answers: { 204: { description: 'It is over' } },
    problems: ['break-glass-not-found'],
  })
  async end(@Param('id', { schema: z.uuid() }) id: string, @CurrentPrincipal() { institutionId, userId, permissions }: Principal, @Req() request: FastifyRequest): Promise<void> {
    noteForAudit(request, { object: id });
    await this.service.end({ institutionId, ...(!permissions.has('users:write') && { userId }) }, id);
  }

  @Post(':id/review')
  @RequirePermission('audit:read')
  @Operation({
    id: 'reviewBreakGlass', summary: 'Say that an emergency access was looked into', description: 'Not by the person who took it. The first review stays.',
    answers: { 200: { description: 'The access', schema: grantSchema, example: ENDED } },
    problems: ['break-glass-not-found'],
  })
  async review(@Param('id', { schema: z.uuid() }) id: string, @CurrentPrincipal() principal: Principal, @Req() request: FastifyRequest): Promise<GrantJson> {
    noteForAudit(request, { object: id });
    return grantJson(await this.service.review(principal, id));
  }
}

function grantJson({ id, userId, reason, permissions, createdAt, expiresAt, endedAt, reviewedBy, reviewedAt }: BreakGlassGrant): GrantJson {
  return {
    id, userId, reason, permissions, active: endedAt === null && expiresAt.getTime() > Date.now(),
    createdAt: createdAt.toISOString(), expiresAt: expiresAt.toISOString(), endedAt: endedAt?.toISOString() ?? null, reviewedBy, reviewedAt: reviewedAt?.toISOString() ?? null,
  };
}
