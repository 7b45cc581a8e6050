import { Controller, Get, Inject, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { JWK } from 'jose';
import { z } from 'zod';
import { CONFIG, type Config } from '../../platform/config.js';
import { Public } from '../../platform/http/access.js';
import { Operation } from '../../platform/http/openapi.js';
import { issuerOf } from './access-token.js';
import { ASSERTION_ALGORITHMS } from './clients/client-jwks.js';
import { CLIENT_AUTH_METHODS } from './clients/presented-credential.js';
import { SMART_SCOPES } from './clients/smart-scopes.js';
import { SigningKeysService } from './signing-keys.service.js';
import { PERMISSIONS } from './users.contract.js';

const jwksSchema = z
  .object({ keys: z.array(z.object({ kty: z.string(), crv: z.string(), x: z.string(), y: z.string(), kid: z.string(), use: z.string(), alg: z.string() })) })
  .meta({ id: 'JsonWebKeySet' });

const discoverySchema = z
  .object({
    issuer: z.string(),
    token_endpoint: z.string(),
    revocation_endpoint: z.string(),
    jwks_uri: z.string(),
    grant_types_supported: z.array(z.string()),
    response_types_supported: z.array(z.string()),
    scopes_supported: z.array(z.string()),
    subject_types_supported: z.array(z.string()),
    id_token_signing_alg_values_supported: z.array(z.string()),
    token_endpoint_auth_methods_supported: z.array(z.string()),
    token_endpoint_auth_signing_alg_values_supported: z.array(z.string()),
    revocation_endpoint_auth_methods_supported: z.array(z.string()),
  })
  .meta({ id: 'AuthorizationServerMetadata', description: 'RFC 8414' });

/** What a resource server needs to check our tokens. */
@ApiTags('sign-in')
@Public()
@Controller('.well-known')
export class DiscoveryController {
  constructor(
    private readonly keys: SigningKeysService,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  @Get('jwks.json')
  @Operation({
    id: 'getJwks',
    summary: 'Keys that verify access tokens',
    answers: { 200: { description: 'JSON Web Key Set (RFC 7517)', schema: jwksSchema, example: { keys: [{ kty: 'EC', crv: 'P-256', x: 'f83OJ3D2…', y: 'x_FEzRu9…', kid: 'NzbLsXh8…', use: 'sig', alg: 'ES256' }] } } },
    public: true,
  })
  async jwks(@Res({ passthrough: true }) reply: FastifyReply): Promise<{ keys: JWK[] }> {
    const jwks = await this.keys.jwks();
    void reply.header('Cache-Control', 'public, max-age=300');
    return jwks;
  }

  @Get('openid-configuration')
  @Operation({
    id: 'getDiscovery',
    summary: 'Where tokens come from',
    answers: {
      200: {
        description: 'Metadata of the authorization server (RFC 8414)',
        schema: discoverySchema,
        example: metadata('https://healthvision.example', 'https://healthvision.example'),
      },
    },
    public: true,
  })
  discovery(@Req() request: FastifyRequest): z.infer<typeof discoverySchema> {
    return metadata(issuerOf(this.config), baseOf(this.config, request));
  }
}

/** Where callers reach us. Without PUBLIC_URL the caller knows that better than we do. */
export function baseOf(config: Pick<Config, 'PUBLIC_URL'>, request: Pick<FastifyRequest, 'protocol' | 'host'>): string {
  return config.PUBLIC_URL === undefined ? `${request.protocol}://${request.host}` : issuerOf(config);
}

function metadata(issuer: string, base: string): z.infer<typeof discoverySchema> {
  return {
    issuer,
    token_endpoint: `${base}/oauth2/token`,
    revocation_endpoint: `${base}/oauth2/revoke`,
    jwks_uri: `${base}/.well-known/jwks.json`,
    grant_types_supported: ['password', 'refresh_token', 'client_credentials'],
    response_types_supported: [],
    scopes_supported: [...PERMISSIONS, ...SMART_SCOPES],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['ES256'],
    token_endpoint_auth_methods_supported: ['none', ...CLIENT_AUTH_METHODS],
    token_endpoint_auth_signing_alg_values_supported: ASSERTION_ALGORITHMS,
    revocation_endpoint_auth_methods_supported: ['none'],
  };
}
