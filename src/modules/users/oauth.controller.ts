import { applyDecorators, Body, Controller, Headers, Post, Req, Res, UseFilters } from '@nestjs/common';
import { ApiConsumes, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { Public } from '../../platform/http/access.js';
import { jsonSchema, Operation } from '../../platform/http/openapi.js';
import { SignInLimits } from '../../platform/limits/sign-in-limits.js';
import { NOT_STORED, OAuthError, OAuthErrorFilter, oauthErrorSchema, type OAuthErrorCode } from './oauth-error.js';
import { TokenService, type TokenAnswer } from './token.service.js';

const FORM = 'application/x-www-form-urlencoded';

/** RFC 6749 §3.2: what is sent without a value counts as omitted, nothing is sent twice, what is unknown is ignored. */
const parameter = z.string().max(4096).transform((text) => (text.trim() === '' ? undefined : text)).optional();

const client = {
  client_id: parameter.meta({ description: 'Ignored for now: people sign in without a client' }),
  client_secret: parameter.meta({ description: 'Refused unless empty' }),
};

const tokenRequest = z
  .object({
    grant_type: parameter.meta({ description: '`password` or `refresh_token`', example: 'password' }),
    username: parameter.meta({ description: 'E-mail address', example: 'admin@localhost' }),
    password: parameter.meta({ example: 'correct horse battery staple' }),
    refresh_token: parameter.meta({ description: 'Good for one use' }),
    scope: parameter.meta({ description: 'Permissions separated by spaces; all that the role has when omitted', example: 'images:read results:read' }),
    ...client,
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
    refresh_token: z.string(),
    scope: z.string().meta({ description: 'Permissions separated by spaces' }),
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
    private readonly limits: SignInLimits,
  ) {}

  @Post('token')
  @ApiConsumes(FORM)
  @OAuthErrors('invalid_request', 'invalid_client', 'invalid_grant', 'invalid_scope', 'unsupported_grant_type')
  @Operation({
    id: 'createToken',
    summary: 'Get an access token',
    description: 'The `password` grant signs a person in; `refresh_token` trades a refresh token for a new pair. A refresh token that is used twice ends its sign-in.',
    answers: { 200: { description: 'The tokens', schema: tokenAnswer, example: tokenExample, headers: { 'Cache-Control': 'no-store' } } },
    problems: ['unsupported-media-type', 'payload-too-large'],
    public: true,
  })
  async token(
    @Body({ schema: tokenRequest }) request: z.output<typeof tokenRequest>,
    @Headers('content-type') contentType: string | undefined,
    @Headers('authorization') authorization: string | undefined,
    @Req() incoming: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<TokenAnswer> {
    requireForm(contentType);
    refuseClients(authorization, request);
    const answer = await this.limits.attempt(incoming, reply, request.grant_type === 'password' ? request.username : undefined, () => this.grant(request));
    void reply.headers(NOT_STORED);
    return answer;
  }

  @Post('revoke')
  @ApiConsumes(FORM)
  @OAuthErrors('invalid_request', 'invalid_client', 'unsupported_token_type')
  @Operation({
    id: 'revokeToken',
    summary: 'Revoke a refresh token',
    description: 'Ends the sign-in that the token belongs to. Access tokens run out by themselves within 15 minutes. An unknown token is revoked already.',
    answers: { 200: { description: 'Revoked', headers: { 'Cache-Control': 'no-store' } } },
    problems: ['unsupported-media-type', 'payload-too-large'],
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

  private grant(request: z.output<typeof tokenRequest>): Promise<TokenAnswer> {
    switch (required(request.grant_type, 'grant_type')) {
      case 'password': return this.tokens.forPassword(required(request.username, 'username'), required(request.password, 'password'), request.scope);
      case 'refresh_token': return this.tokens.forRefreshToken(required(request.refresh_token, 'refresh_token'), request.scope);
      default: throw new OAuthError('unsupported_grant_type', 'The grant types are password and refresh_token.');
    }
  }
}

function required(value: string | undefined, name: string): string {
  if (value === undefined) throw new OAuthError('invalid_request', `The parameter ${name} is missing.`);
  return value;
}

function requireForm(contentType: string | undefined): void {
  if (contentType?.split(';')[0]?.trim().toLowerCase() !== FORM) throw new OAuthError('invalid_request', `The body must be ${FORM}.`);
}

/** No client is registered anywhere, so none can prove itself; browsers' forms send empty credentials, which say nothing. */
function refuseClients(authorization: string | undefined, { client_secret }: { client_secret?: string | undefined }): void {
  const basic = authorization === undefined ? undefined : /^basic\s+(\S+)$/i.exec(authorization)?.[1];
  const secret = basic === undefined ? client_secret : Buffer.from(basic, 'base64').toString().replace(/^[^:]*:/, '');
  if (secret !== undefined && secret !== '') throw new OAuthError('invalid_client', 'No such client.');
}
