import { Body, Controller, Delete, Get, Headers, Param, Patch, Post, Query, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { AppError } from '../../kernel/errors.js';
import { Authenticated, CurrentPrincipal, homeOf, RequirePermission, type Principal } from '../../platform/http/access.js';
import { Idempotent } from '../../platform/http/idempotency.interceptor.js';
import { TakesIfMatch } from '../../platform/http/if-match.js';
import { Operation } from '../../platform/http/openapi.js';
import { pageOf, pageQuery, pageSchema, type Page, type PageQuery } from '../../platform/http/page.js';
import { languageOf } from '../../platform/http/problem.js';
import { chosenPassword, emailAddress, name } from './fields.js';
import { NewUsersService } from './new-users.service.js';
import { ROLES } from './users.contract.js';
import { UsersService, userETag } from './users.service.js';
import { UsersStore, type User, type UserChange } from './users.store.js';

const role = z.enum(ROLES).meta({ example: 'radiologist' });
const state = z.enum(['active', 'disabled']).meta({ example: 'active' });
const userState = z.enum(['invited', 'active', 'disabled']).meta({ description: 'Who is invited has chosen no password yet' });

const userSchema = z
  .object({
    id: z.uuid(),
    institutionId: z.uuid(),
    email: z.string(),
    displayName: z.string(),
    role: z.string(),
    state: userState,
    secondFactor: z.boolean().meta({ description: 'Whether they sign in with a code beside their password' }),
    createdAt: z.iso.datetime(),
    lastSignInAt: z.iso.datetime().nullable(),
  })
  .meta({ id: 'User' });

const userPage = pageSchema(userSchema, 'UserPage');
const meSchema = userSchema.extend({ permissions: z.array(z.string()).meta({ description: 'Of this token or key' }) }).meta({ id: 'Me' });

const createUser = z
  .strictObject({
    email: emailAddress,
    displayName: name.meta({ example: 'Dr. Grace Hopper' }),
    role,
    password: chosenPassword.optional().meta({ description: 'Without one the person is invited by e-mail, and chooses it' }),
  })
  .meta({ id: 'CreateUser', example: { email: 'grace@hospital.example', displayName: 'Dr. Grace Hopper', role: 'radiologist' } });

const updateUser = z
  .strictObject({ displayName: name, role, state })
  .partial()
  .refine((change) => Object.keys(change).length > 0, 'Nothing to change')
  .meta({ id: 'UpdateUser', example: { displayName: 'Dr. Grace Hopper', state: 'active' } });

type UserBody = z.infer<typeof userSchema>;

const example: UserBody = {
  id: '0198c0de-0000-7000-8000-000000000001', institutionId: '0198c0de-0000-7000-8000-000000000000', email: 'grace@hospital.example', displayName: 'Dr. Grace Hopper',
  role: 'radiologist', state: 'active', secondFactor: false, createdAt: '2026-11-21T10:00:00.000Z', lastSignInAt: null,
};
const ETAG = { ETag: 'Version of the user, for If-Match' };

@ApiTags('users')
@Controller('api/v1/users')
export class UsersController {
  constructor(
    private readonly users: UsersStore,
    private readonly service: UsersService,
    private readonly newUsers: NewUsersService,
  ) {}

  @Get()
  @RequirePermission('users:read')
  @Operation({ id: 'listUsers', summary: 'The people of the institution', answers: { 200: { description: 'A page, oldest first', schema: userPage, example: { items: [example], nextCursor: null } } }, problems: ['invalid-query'] })
  async list(@CurrentPrincipal() principal: Principal, @Query({ schema: pageQuery }) page: PageQuery): Promise<Page<UserBody>> {
    return pageOf(await this.users.list(principal.institutionId, page), page.limit, bodyOf);
  }

  @Get('me')
  @Authenticated()
  @Operation({ id: 'getMe', summary: 'Who is calling', description: 'The signed-in person, or the owner of the key, with the permissions of this token or key.', answers: { 200: { description: 'The caller', schema: meSchema, example: { ...example, permissions: ['images:read'] }, headers: ETAG } } })
  async me(@CurrentPrincipal() principal: Principal, @Res({ passthrough: true }) reply: FastifyReply): Promise<z.infer<typeof meSchema>> {
    if (principal.kind === 'client') throw new AppError('forbidden', { detail: 'A system is no person: its client tells what it may do.' });
    // Whoever entered another institution is still at home in their own.
    const user = await this.load(homeOf(principal), principal.userId);
    void reply.header('ETag', userETag(user));
    return { ...bodyOf(user), permissions: [...principal.permissions] };
  }

  @Get(':id')
  @RequirePermission('users:read')
  @Operation({ id: 'getUser', summary: 'One person', answers: { 200: { description: 'The user', schema: userSchema, example, headers: ETAG } }, problems: ['user-not-found'] })
  async get(@CurrentPrincipal() principal: Principal, @Param('id', { schema: z.uuid() }) id: string, @Res({ passthrough: true }) reply: FastifyReply): Promise<UserBody> {
    return answer(await this.load(principal, id), reply);
  }

  @Post()
  @RequirePermission('users:write')
  @Idempotent()
  @Operation({
    id: 'createUser',
    summary: 'Add a person',
    description: 'Only a role whose permissions the caller holds can be given. Without a password the person is `invited`: a link in an e-mail lets them choose one.',
    answers: { 201: { description: 'Created', schema: userSchema, example, headers: { ...ETAG, Location: 'Where the user is' } } },
    problems: ['invalid-body', 'conflict', 'weak-password', 'idempotency-key-reused'],
  })
  async create(@CurrentPrincipal() principal: Principal, @Body({ schema: createUser }) draft: z.infer<typeof createUser>, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<UserBody> {
    const user = await this.newUsers.create(principal, draft, languageOf(request.headers['accept-language']));
    void reply.header('Location', `/api/v1/users/${user.id}`);
    return answer(user, reply);
  }

  @Post(':id/invitation')
  @RequirePermission('users:write')
  @Operation({
    id: 'inviteUser',
    summary: 'Send an invitation again',
    description: 'The link of the mail before is void. Not more often than once a minute.',
    answers: { 202: { description: 'It will be sent' } },
    problems: ['user-not-found', 'conflict'],
  })
  async invite(@CurrentPrincipal() principal: Principal, @Param('id', { schema: z.uuid() }) id: string, @Req() request: FastifyRequest): Promise<void> {
    await this.newUsers.invite(principal, id, languageOf(request.headers['accept-language']));
  }

  @Patch(':id')
  @TakesIfMatch()
  @RequirePermission('users:write')
  @Operation({
    id: 'updateUser',
    summary: 'Change a person',
    description: 'A new role takes effect at once here, and within 15 seconds in other processes. Send `If-Match` with the ETag to change only what you have seen.',
    answers: { 200: { description: 'Changed', schema: userSchema, example, headers: ETAG } },
    problems: ['invalid-body', 'user-not-found', 'conflict', 'precondition-failed'],
  })
  async update(
    @CurrentPrincipal() principal: Principal,
    @Param('id', { schema: z.uuid() }) id: string,
    @Body({ schema: updateUser }) change: z.infer<typeof updateUser>,
    @Headers('if-match') ifMatch: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<UserBody> {
    return answer(await this.service.change(principal, id, given(change), ifMatch), reply);
  }

  @Delete(':id')
  @TakesIfMatch()
  @RequirePermission('users:write')
  @Operation({
    id: 'disableUser',
    summary: 'Disable a person',
    description: 'Ends their sign-ins and their keys within 15 seconds. What they did stays on record, so the user does too.',
    answers: { 204: { description: 'Disabled' } },
    problems: ['user-not-found', 'conflict', 'precondition-failed'],
  })
  async disable(@CurrentPrincipal() principal: Principal, @Param('id', { schema: z.uuid() }) id: string, @Headers('if-match') ifMatch: string | undefined): Promise<void> {
    await this.service.change(principal, id, { state: 'disabled' }, ifMatch);
  }

  private async load(principal: Pick<Principal, 'institutionId'>, id: string): Promise<User> {
    const user = await this.users.findIn(principal.institutionId, id);
    if (!user) throw new AppError('user-not-found');
    return user;
  }
}

function answer(user: User, reply: FastifyReply): UserBody {
  void reply.header('ETag', userETag(user));
  return bodyOf(user);
}

function bodyOf({ id, institutionId, email, displayName, role, state, secondFactor, createdAt, lastSignInAt }: User): UserBody {
  return { id, institutionId, email, displayName, role, state, secondFactor, createdAt: createdAt.toISOString(), lastSignInAt: lastSignInAt?.toISOString() ?? null };
}

/** Without the fields that were left out, which zod types as undefined. */
function given({ displayName, role, state }: z.infer<typeof updateUser>): UserChange {
  return { ...(displayName !== undefined && { displayName }), ...(role !== undefined && { role }), ...(state !== undefined && { state }) };
}
