import { Body, Controller, Delete, Get, HttpCode, Inject, Post, Req, Res } from '@nestjs/common';
import { ApiConsumes, ApiExcludeEndpoint, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { AppError } from '../../../kernel/errors.js';
import { CONFIG, type Config } from '../../../platform/config.js';
import { noteForAudit } from '../../../platform/audit/audit-note.js';
import { Authenticated, BeforeSecondFactor, CurrentPrincipal, homeOf, Public, type AuthenticatedRequest, type Principal } from '../../../platform/http/access.js';
import { Operation } from '../../../platform/http/openapi.js';
import { addressOf } from '../../../platform/limits/request-limits.js';
import { SignInLimits } from '../../../platform/limits/sign-in-limits.js';
import { PrincipalsService } from '../principals.service.js';
import type { Account } from '../accounts.store.js';
import { noteTried, SignInService } from '../sign-in.service.js';
import { UsersStore } from '../users.store.js';
import { localPath } from './local-path.js';
import { PageCookies } from './page-cookies.js';
import { originOf } from './request-origin.js';
import { requireSameSite } from './same-site.js';
import { SessionsService } from './sessions.service.js';

const FORM = 'application/x-www-form-urlencoded';

/** Browsers send empty fields, which say nothing. */
const optional = z.string().max(2_048).transform((text) => (text.trim() === '' ? undefined : text)).optional();

const signInBody = z
  .strictObject({
    email: z.string().min(1).max(254).meta({ example: 'admin@localhost' }),
    password: z.string().min(1).max(1_024).meta({ example: 'correct horse battery staple' }),
    otp: optional.meta({ description: 'Of the authenticator app, or a recovery code, where there is a second factor' }),
    next: optional.meta({ description: 'Of a form: the path to go on to' }),
  })
  .meta({ id: 'SignIn', example: { email: 'admin@localhost', password: 'correct horse battery staple' } });

const endBody = z.strictObject({ csrfToken: z.string().max(200) });

const sessionUser = z.object({ id: z.uuid(), institutionId: z.uuid(), email: z.string(), displayName: z.string(), role: z.string() });
const currentSession = z
  .object({
    user: sessionUser,
    csrfToken: z.string().nullable().meta({ description: 'For `X-CSRF-Token`, which every call that changes something needs when it comes with the cookie; null without a cookie' }),
    secondFactorRequired: z.boolean().meta({ description: 'Nothing answers until a second factor is set up' }),
  })
  .meta({ id: 'CurrentSession' });

type CurrentSession = z.infer<typeof currentSession>;

const example: CurrentSession = {
  user: { id: '0198c0de-0000-7000-8000-000000000001', institutionId: '0198c0de-0000-7000-8000-000000000000', email: 'grace@hospital.example', displayName: 'Dr. Grace Hopper', role: 'radiologist' },
  csrfToken: 'pQ3…', secondFactorRequired: false,
};

/** Sign-in with a cookie, for pages. */
@ApiTags('sign-in')
@Controller('session')
export class SessionController {
  constructor(
    private readonly signIns: SignInService,
    private readonly sessions: SessionsService,
    private readonly principals: PrincipalsService,
    private readonly users: UsersStore,
    private readonly cookies: PageCookies,
    private readonly limits: SignInLimits,
    @Inject(CONFIG) private readonly config: Pick<Config, 'PUBLIC_URL'>,
  ) {}

  @Post()
  @Public()
  @ApiConsumes('application/json', FORM)
  @Operation({
    id: 'createSession',
    summary: 'Sign in with a cookie',
    description: 'Sets `hv_session`, which authenticates like a token, and `hv_csrf`, whose value goes into `X-CSRF-Token` of every call that changes something. It ends after an hour without a call, or after 12 hours. A form is answered with a redirection: to `next`, or back to the sign-in page.',
    answers: {
      200: { description: 'Signed in', schema: currentSession, example, headers: { 'Set-Cookie': 'The cookies', 'Cache-Control': 'no-store' } },
      303: { description: 'The same, for a form', headers: { 'Location': 'Where to go on', 'Set-Cookie': 'The cookies' } },
    },
    problems: ['invalid-body', 'invalid-credentials', 'second-factor-missing', 'csrf-token-invalid'],
    public: true,
  })
  async create(@Body({ schema: signInBody }) body: z.output<typeof signInBody>, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<CurrentSession | undefined> {
    requireSameSite(request, this.config.PUBLIC_URL);
    const isForm = request.headers['content-type']?.startsWith(FORM) === true;
    void reply.header('Cache-Control', 'no-store');
    let account: Account;
    try {
      account = await this.limits.attempt(request, reply, this.signIns.claimant(body.email), () => this.prove(body, request));
    } catch (error) {
      if (!isForm || !(error instanceof AppError) || error.status >= 500) throw error;
      noteForAudit(request, { refusal: error.code });
      const fault = error.code === 'second-factor-missing' ? 'code' : 'refused';
      void reply.status(303).header('Location', `/login?${new URLSearchParams({ fault, ...(body.next !== undefined && { next: localPath(body.next) }) }).toString()}`);
      return undefined;
    }
    await this.endPresent(request);
    const secret = await this.sessions.openCookie(account, originOf(request));
    this.cookies.set(request, reply, secret);
    noteForAudit(request, { actor: { kind: 'user', id: account.id, role: account.role, institutionId: account.institutionId } });
    const secondFactorRequired = (await this.principals.ofCookie(secret))?.lacksSecondFactor === true;
    if (isForm) {
      void reply.status(303).header('Location', secondFactorRequired ? '/account' : localPath(body.next));
      return undefined;
    }
    return { user: userOf(account), csrfToken: this.cookies.csrfTokenOf(secret), secondFactorRequired };
  }

  @Get()
  @Authenticated()
  @BeforeSecondFactor()
  @Operation({ id: 'getSession', summary: 'Who is signed in', answers: { 200: { description: 'The person, and the token for calls that change something', schema: currentSession, example, headers: { 'Cache-Control': 'no-store' } } }, problems: ['user-not-found'] })
  async get(@CurrentPrincipal() principal: Principal, @Req() request: AuthenticatedRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<CurrentSession> {
    const user = await this.users.findIn(homeOf(principal).institutionId, principal.userId);
    if (!user) throw new AppError('user-not-found');
    const secret = this.cookies.secretOf(request);
    void reply.header('Cache-Control', 'no-store');
    return { user: userOf(user), csrfToken: secret === undefined ? null : this.cookies.csrfTokenOf(secret), secondFactorRequired: principal.lacksSecondFactor === true };
  }

  @Delete()
  @Authenticated()
  @BeforeSecondFactor()
  @Operation({ id: 'endSession', summary: 'Sign out', description: 'Ends the sign-in that the call belongs to, of a cookie or of tokens.', answers: { 204: { description: 'Signed out', headers: { 'Set-Cookie': 'Without the cookies' } } }, problems: ['session-not-found', 'csrf-token-invalid'] })
  async end(@CurrentPrincipal() principal: Principal, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<void> {
    if (principal.sessionId === undefined) throw new AppError('session-not-found');
    await this.sessions.end(homeOf(principal).institutionId, principal.userId, principal.sessionId);
    this.cookies.clear(request, reply);
  }

  /** As `DELETE`, for a form, which sends its token as a field. */
  @Post('end')
  @Public()
  @ApiExcludeEndpoint()
  @HttpCode(303)
  async endByForm(@Body({ schema: endBody }) { csrfToken }: z.infer<typeof endBody>, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<void> {
    const secret = this.cookies.secretOf(request);
    if (secret !== undefined && !this.cookies.isOurs(request, secret, csrfToken)) throw new AppError('csrf-token-invalid');
    await this.endPresent(request);
    this.cookies.clear(request, reply);
    void reply.header('Location', '/login?ended=1');
  }

  /** @throws AppError `invalid-credentials`, `second-factor-missing` */
  private async prove(body: z.output<typeof signInBody>, request: FastifyRequest): Promise<Account> {
    const result = await this.signIns.signIn(body, 'cookie', addressOf(request));
    noteTried(request, result.account);
    if (result.outcome === 'success') return result.account;
    if (result.outcome === 'second-factor-missing') throw new AppError('second-factor-missing');
    throw new AppError('invalid-credentials', { detail: 'The e-mail address, the password or the code is wrong, or the account is locked for a while.' });
  }

  /** Who signs in anew, in a browser that is signed in, has done with the old sign-in. */
  private async endPresent(request: FastifyRequest): Promise<void> {
    const secret = this.cookies.secretOf(request);
    if (secret === undefined) return;
    try {
      const principal = await this.principals.ofCookie(secret);
      if (principal?.sessionId !== undefined) await this.sessions.end(principal.institutionId, principal.userId, principal.sessionId);
    } catch (error) {
      // It ended in this moment, or is of a suspended institution: nobody uses it any more.
      if (!(error instanceof AppError) || !['session-not-found', 'institution-suspended'].includes(error.code)) throw error;
    }
  }
}

function userOf({ id, institutionId, email, displayName, role }: CurrentSession['user']): CurrentSession['user'] {
  return { id, institutionId, email, displayName, role };
}
