import { applyDecorators, Body, Controller, Headers, Post, Req, Res, UseFilters } from '@nestjs/common';
import { ApiConsumes, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { decodeJwt } from 'jose';
import { z } from 'zod';
import { noteForAudit } from '../../platform/audit/audit-note.js';
import { Public } from '../../platform/http/access.js';
import { jsonSchema, Operation } from '../../platform/http/openapi.js';
import { SignInLimits } from '../../platform/limits/sign-in-limits.js';
import { accessTokenClaims } from './access-token.js';
import { ClientTokenService, type ClientTokenAnswer } from './clients/client-token.service.js';
import { NOT_STORED, OAuthError, OAuthErrorAnswers, OAuthErrorFilter, oauthErrorSchema, type OAuthErrorCode } from './oauth-error.js';
import { SignInService } from './sign-in.service.js';
import { TokenService, type TokenAnswer } from './token.service.js';

const FORM = 'application/x-www-form-urlencoded';

/** RFC 6749 §3.2: what is sent without a value counts as omitted, nothing is sent twice, what is unknown is ignored. */
const parameter = z.string().max(4096).transform((text) => (text.trim() === '' ? undefined : text)).optional();

const client = {
  client_id: parameter.meta({ description: 'Of a system; people sign in without one' }),
  client_secret: parameter.meta({ description: 'Of a system with `client_secret_post`; Basic credentials do the same' }),
};
/** RFC 7521 §4.2; longer than other parameters, for an RSA signature and a chain of claims. */
const assertion = {
  client_assertion: z.string().max(16_384).transform((text) => (text.trim() === '' ? undefined : text)).optional().meta({ description: 'Of a system with `private_key_jwt`: a JWT of at most 5 minutes, good once (RFC 7523)' }),
  client_assertion_type: parameter.meta({ description: '`urn:ietf:params:oauth:client-assertion-type:jwt-bearer`' }),
};

const tokenRequest = z
  .object({
    grant_type: parameter.meta({ description: '`password`, `refresh_token` or `client_credentials`', example: 'password' }),
    username: parameter.meta({ description: 'E-mail address', example: 'admin@localhost' }),
    password: parameter.meta({ example: 'correct horse battery staple' }),
    otp: parameter.meta({ description: 'With `password`, where the person has a second factor: a code of the authenticator app, or a recovery code' }),
    refresh_token: parameter.meta({ description: 'Good for one use' }),
    scope: parameter.meta({ description: 'Permissions separated by spaces, and SMART scopes of systems; everything that is held when omitted', example: 'images:read results:read' }),
    ...client,
    ...assertion,
  })
  .meta({ id: 'TokenRequest', example: { grant_type: 'password', username: 'admin@localhost', password: 'correct horse battery staple' } });

const revocationRequest = z
  .object({ token: parameter.meta({ description: 'The refresh token' }), token_type_hint: parameter, ...client })
  .meta({ id: 'RevocationRequest', example: { token: 'hvr_…', token_type_hint: 'refresh_token' } });

const tokenAnswer = z
  .object({
    access_token: z.string().meta({ description: 'JWT, ES256' }),
    token_type: z.literal('Bearer'),
    expires_in: z.number().int().meta({ description: 'Seconds' }),
    refresh_token: z.string().optional().meta({ description: 'Not with `client_credentials`' }),
    scope: z.string().meta({ description: 'Permissions, and SMART scopes where they were asked for, separated by spaces' }),
  })
  .meta({ id: 'TokenAnswer' });

const tokenExample: TokenAnswer = { access_token: 'eyJhbGciOiJFUzI1NiIs…', token_type: 'Bearer', expires_in: 900, refresh_token: 'hvr_…', scope: 'images:read results:read' };

/** Refusals have the form of RFC 6749, so they stand in for the problems that `Operation` documents. */
function OAuthErrors(...codes: OAuthErrorCode[]): MethodDecorator {
  const byStatus = new Map<number, OAuthErrorCode[]>();
  for (const code of [...codes, 'slow_down', 'temporarily_unavailable', 'server_error'] as const) {
    const { status } = new OAuthError(code, '');
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return applyDecorators(...[...byStatus].map(([status, group]) => ApiResponse({
    status,
    description: group.map((code) => `\`${code}\``).join(', '),
    content: { 'application/json': { schema: jsonSchema(oauthErrorSchema, 'output'), example: { error: group[0], error_description: 'What is wrong, in a sentence.' } } },
  })));
}

/** RFC 6749 and RFC 7009. */
@ApiTags('sign-in')
@Public()
@UseFilters(OAuthErrorFilter)
@Controller('oauth2')
export class OAuthController {
  constructor(
    private readonly tokens: TokenService,
    private readonly clientTokens: ClientTokenService,
    private readonly signIns: SignInService,
    private readonly limits: SignInLimits,
  ) {}

  @Post('token')
  @ApiConsumes(FORM)
  @OAuthErrorAnswers()
  @OAuthErrors('invalid_request', 'invalid_client', 'invalid_grant', 'invalid_scope', 'unsupported_grant_type')
  @Operation({
    id: 'createToken',
    summary: 'Get an access token',
    description: 'The `password` grant signs a person in, with `otp` where they have a second factor: without it the answer is `invalid_grant` with `mfa_required`. `refresh_token` trades a refresh token for a new pair. A refresh token that is used twice ends its sign-in. `client_credentials` signs a system in, by its secret, a signed assertion or its certificate.',
    answers: { 200: { description: 'The tokens', schema: tokenAnswer, example: tokenExample, headers: { 'Cache-Control': 'no-store' } } },
    public: true,
  })
  async token(
    @Body({ schema: tokenRequest }) request: z.output<typeof tokenRequest>,
    @Headers('content-type') contentType: string | undefined,
    @Headers('authorization') authorization: string | undefined,
    @Req() http: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<TokenAnswer | ClientTokenAnswer> {
    requireForm(contentType);
    const isClient = request.grant_type === 'client_credentials';
    if (!isClient) refuseClients(authorization, request);
    const claimant = isClient ? { kind: 'client' as const } : this.signIns.claimant(request.grant_type === 'password' ? request.username : undefined);
    const answer = await this.limits.attempt(http, reply, claimant, () => (isClient ? this.clientTokens.forClient(http, request) : this.grant(request, http)));
    if (!isClient) noteSignIn(http, answer.access_token);
    void reply.headers(NOT_STORED);
    return answer;
  }

  @Post('revoke')
  @ApiConsumes(FORM)
  @OAuthErrorAnswers()
  @OAuthErrors('invalid_request', 'invalid_client', 'unsupported_token_type')
  @Operation({
    id: 'revokeToken',
    summary: 'Revoke a refresh token',
    description: 'Ends the sign-in that the token belongs to, with its access tokens: at once here, within 15 seconds in other processes. An unknown token is revoked already.',
    answers: { 200: { description: 'Revoked', headers: { 'Cache-Control': 'no-store' } } },
    public: true,
  })
  async revoke(
    @Body({ schema: revocationRequest }) request: z.output<typeof revocationRequest>,
    @Headers('content-type') contentType: string | undefined,
    @Headers('authorization') authorization: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<void> {
    requireForm(contentType);
    refuseClients(authorization, request);
    const token = required(request.token, 'token');
    // Checked by signature alone, an access token cannot be called back. RFC 7009 §2.2.1
    if (/^eyJ[\w-]*\.[\w-]+\.[\w-]*$/.test(token)) throw new OAuthError('unsupported_token_type', 'Only refresh tokens can be revoked.');
    await this.tokens.revoke(token);
    void reply.headers(NOT_STORED);
  }

  private grant(request: z.output<typeof tokenRequest>, http: FastifyRequest): Promise<TokenAnswer> {
    switch (required(request.grant_type, 'grant_type')) {
      case 'password': return this.tokens.forPassword({ email: required(request.username, 'username'), password: required(request.password, 'password'), otp: request.otp }, request.scope, http);
      case 'refresh_token': return this.tokens.forRefreshToken(required(request.refresh_token, 'refresh_token'), request.scope, http);
      default: throw new OAuthError('unsupported_grant_type', 'The grant types are password, refresh_token and client_credentials.');
    }
  }
}

/** The audit event belongs to the institution of whom the token is for. */
function noteSignIn(request: FastifyRequest, token: string): void {
  const claims = accessTokenClaims.safeParse(decodeJwt(token));
  if (claims.success) noteForAudit(request, { actor: { kind: 'user', id: claims.data.sub, role: claims.data.role, institutionId: claims.data.institution_id } });
}

function required(value: string | undefined, name: string): string {
  if (value === undefined) throw new OAuthError('invalid_request', `The parameter ${name} is missing.`);
  return value;
}

function requireForm(contentType: string | undefined): void {
  if (contentType?.split(';')[0]?.trim().toLowerCase() !== FORM) throw new OAuthError('invalid_request', `The body must be ${FORM}.`);
}

/** People sign in without a client, so that none may prove itself beside them; browsers' forms send empty credentials, which say nothing. */
function refuseClients(authorization: string | undefined, { client_secret, client_assertion }: { client_secret?: string | undefined; client_assertion?: string | undefined }): void {
  const basic = authorization === undefined ? undefined : /^basic\s+(\S+)$/i.exec(authorization)?.[1];
  const secret = basic === undefined ? (client_secret ?? client_assertion) : Buffer.from(basic, 'base64').toString().replace(/^[^:]*:/, '');
  if (secret !== undefined && secret !== '') throw new OAuthError('invalid_client', 'No such client.');
}
