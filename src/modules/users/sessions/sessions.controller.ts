import { Controller, Delete, Get, Param, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { AppError } from '../../../kernel/errors.js';
import { Authenticated, CurrentPrincipal, homeOf, RequirePermission, type Principal } from '../../../platform/http/access.js';
import { Operation } from '../../../platform/http/openapi.js';
import { pageOf, pageQuery, pageSchema, type Page, type PageQuery } from '../../../platform/http/page.js';
import { requirePerson } from '../person.js';
import { UsersStore } from '../users.store.js';
import { SessionsService } from './sessions.service.js';
import { SessionsStore, type Session } from './sessions.store.js';

const sessionSchema = z
  .object({
    id: z.uuid(),
    kind: z.string().meta({ description: '`tokens` or `cookie`' }),
    address: z.string().nullable().meta({ description: 'Where it was begun' }),
    userAgent: z.string().nullable(),
    secondFactor: z.boolean().meta({ description: 'Whether a code was shown' }),
    current: z.boolean().meta({ description: 'Whether this call belongs to it' }),
    createdAt: z.iso.datetime(),
    lastSeenAt: z.iso.datetime().meta({ description: 'To the minute' }),
    expiresAt: z.iso.datetime(),
  })
  .meta({ id: 'Session' });

const sessionPage = pageSchema(sessionSchema, 'SessionPage');
type SessionBody = z.infer<typeof sessionSchema>;

const example: SessionBody = {
  id: '0198c0de-0000-7000-8000-000000000020', kind: 'cookie', address: '192.0.2.17', userAgent: 'Mozilla/5.0 (X11; Linux x86_64) Firefox/145.0', secondFactor: true, current: true,
  createdAt: '2026-11-21T10:00:00.000Z', lastSeenAt: '2026-11-21T10:12:00.000Z', expiresAt: '2026-11-21T22:00:00.000Z',
};
const PAGE = { 200: { description: 'A page, oldest first', schema: sessionPage, example: { items: [example], nextCursor: null } } };

/** Sign-ins that live: each with its cookie, or its family of refresh tokens. */
@ApiTags('users')
@Controller('api/v1/users')
export class SessionsController {
  constructor(
    private readonly sessions: SessionsStore,
    private readonly service: SessionsService,
    private readonly users: UsersStore,
  ) {}

  @Get('me/sessions')
  @Authenticated()
  @Operation({ id: 'listMySessions', summary: 'Where one is signed in', answers: PAGE, problems: ['invalid-query'] })
  async listMine(@CurrentPrincipal() principal: Principal, @Query({ schema: pageQuery }) page: PageQuery): Promise<Page<SessionBody>> {
    return this.page(homeOf(requirePerson(principal)).institutionId, principal.userId, page, principal);
  }

  @Delete('me/sessions')
  @Authenticated()
  @Operation({ id: 'endMyOtherSessions', summary: 'Sign out everywhere else', description: 'All sign-ins end but the one that this call belongs to. Their access tokens are refused at once here, and within 15 seconds in other processes.', answers: { 204: { description: 'Ended' } } })
  async endMyOthers(@CurrentPrincipal() principal: Principal): Promise<void> {
    await this.service.endAll(homeOf(requirePerson(principal)).institutionId, principal.userId, principal.sessionId);
  }

  @Delete('me/sessions/:id')
  @Authenticated()
  @Operation({ id: 'endMySession', summary: 'Sign out elsewhere', answers: { 204: { description: 'Ended' } }, problems: ['session-not-found'] })
  async endMine(@CurrentPrincipal() principal: Principal, @Param('id', { schema: z.uuid() }) id: string): Promise<void> {
    await this.service.end(homeOf(requirePerson(principal)).institutionId, principal.userId, id);
  }

  @Get(':id/sessions')
  @RequirePermission('users:read')
  @Operation({ id: 'listUserSessions', summary: 'Where somebody is signed in', answers: PAGE, problems: ['invalid-query', 'user-not-found'] })
  async list(@CurrentPrincipal() principal: Principal, @Param('id', { schema: z.uuid() }) id: string, @Query({ schema: pageQuery }) page: PageQuery): Promise<Page<SessionBody>> {
    if (!(await this.users.findIn(principal.institutionId, id))) throw new AppError('user-not-found');
    return this.page(principal.institutionId, id, page, principal);
  }

  @Delete(':id/sessions')
  @RequirePermission('users:write')
  @Operation({ id: 'endUserSessions', summary: 'Sign somebody out everywhere', answers: { 204: { description: 'Ended' } }, problems: ['user-not-found'] })
  async endAll(@CurrentPrincipal() principal: Principal, @Param('id', { schema: z.uuid() }) id: string): Promise<void> {
    const user = await this.service.subject(principal, id);
    await this.service.endAll(user.institutionId, user.id);
  }

  @Delete(':id/sessions/:sessionId')
  @RequirePermission('users:write')
  @Operation({ id: 'endUserSession', summary: 'End one sign-in of somebody', answers: { 204: { description: 'Ended' } }, problems: ['user-not-found', 'session-not-found'] })
  async end(@CurrentPrincipal() principal: Principal, @Param('id', { schema: z.uuid() }) id: string, @Param('sessionId', { schema: z.uuid() }) sessionId: string): Promise<void> {
    const user = await this.service.subject(principal, id);
    await this.service.end(user.institutionId, user.id, sessionId);
  }

  private async page(institutionId: string, userId: string, page: PageQuery, principal: Principal): Promise<Page<SessionBody>> {
    return pageOf(await this.sessions.list(institutionId, userId, page), page.limit, (session) => bodyOf(session, principal));
  }
}

function bodyOf({ id, kind, address, userAgent, secondFactor, createdAt, lastSeenAt, expiresAt }: Session, principal: Principal): SessionBody {
  return {
    id, kind, address, userAgent, secondFactor, current: id === principal.sessionId,
    createdAt: createdAt.toISOString(), lastSeenAt: lastSeenAt.toISOString(), expiresAt: expiresAt.toISOString(),
  };
}
