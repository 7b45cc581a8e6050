import { Controller, Get, Inject, Req } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { CONFIG, type Config } from '../../../platform/config.js';
import { Public } from '../../../platform/http/access.js';
import { Operation } from '../../../platform/http/openapi.js';
import { issuerOf } from '../access-token.js';
import { baseOf } from '../discovery.controller.js';
import { ASSERTION_ALGORITHMS } from './client-jwks.js';
import { CLIENT_AUTH_METHODS } from './presented-credential.js';
import { SMART_SCOPES } from './smart-scopes.js';

const smartConfiguration = z
  .object({
    issuer: z.string(),
    jwks_uri: z.string(),
    token_endpoint: z.string(),
    revocation_endpoint: z.string(),
    grant_types_supported: z.array(z.string()),
    token_endpoint_auth_methods_supported: z.array(z.string()),
    token_endpoint_auth_signing_alg_values_supported: z.array(z.string()),
    scopes_supported: z.array(z.string()),
    code_challenge_methods_supported: z.array(z.string()),
    capabilities: z.array(z.string()),
  })
  .meta({ id: 'SmartConfiguration', description: 'SMART App Launch 2.2' });

/** What a SMART Backend Services client needs to sign in. */
@ApiTags('sign-in')
@Public()
@Controller('fhir/.well-known')
export class SmartConfigurationController {
  constructor(@Inject(CONFIG) private readonly config: Config) {}

  @Get('smart-configuration')
  @Operation({
    id: 'getSmartConfiguration',
    summary: 'How systems sign in for FHIR',
    description: 'SMART Backend Services: register a client under `/api/v1/oauth-clients`, then ask the token endpoint for `system/` scopes.',
    answers: { 200: { description: 'The configuration', schema: smartConfiguration, example: configuration('https://healthvision.example', 'https://healthvision.example') } },
    public: true,
  })
  smart(@Req() request: FastifyRequest): z.infer<typeof smartConfiguration> {
    return configuration(issuerOf(this.config), baseOf(this.config, request));
  }
}

function configuration(issuer: string, base: string): z.infer<typeof smartConfiguration> {
  return {
    issuer,
    jwks_uri: `${base}/.well-known/jwks.json`,
    token_endpoint: `${base}/oauth2/token`,
    revocation_endpoint: `${base}/oauth2/revoke`,
    grant_types_supported: ['client_credentials'],
    token_endpoint_auth_methods_supported: CLIENT_AUTH_METHODS,
    token_endpoint_auth_signing_alg_values_supported: ASSERTION_ALGORITHMS,
    scopes_supported: [...SMART_SCOPES],
    // The member is required, and S256 in it, though there is no code flow here to use it.
    code_challenge_methods_supported: ['S256'],
    capabilities: ['client-confidential-asymmetric', 'client-confidential-symmetric', 'permission-v1', 'permission-v2'],
  };
}
