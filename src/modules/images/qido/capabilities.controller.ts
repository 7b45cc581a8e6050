import { Controller, Inject, Options, Req, Res } from '@nestjs/common';
import { ApiExcludeEndpoint, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { AppError } from '../../../kernel/errors.js';
import { CONFIG, type Config } from '../../../platform/config.js';
import { Authenticated } from '../../../platform/http/access.js';
import { Operation } from '../../../platform/http/openapi.js';
import { studiesUrlOf } from '../stow-response.js';
import { capabilitiesJson, capabilitiesWadl } from './capabilities.js';

const WADL = 'application/vnd.sun.wadl+xml';

@ApiTags('dicomweb')
@Controller('dicom-web')
export class CapabilitiesController {
  constructor(@Inject(CONFIG) private readonly config: Config) {}

  @Options()
  @Authenticated()
  @Operation({
    id: 'getCapabilities', summary: 'What DICOMweb is served here', description: 'Retrieve Capabilities, PS3.18 §8.9: a WADL document, or the same as JSON for those who accept `application/json` only.',
    answers: { 200: { description: 'The Capabilities Description', mediaType: WADL } },
    problems: ['not-acceptable'],
  })
  capabilities(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): string {
    return this.describe(request, reply);
  }

  /** The base with its slash, which is the standard's own form, and every resource below it: the description holds them all. */
  @Options('*')
  @Authenticated()
  @ApiExcludeEndpoint()
  below(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): string {
    return this.describe(request, reply);
  }

  private describe(request: FastifyRequest, reply: FastifyReply): string {
    const { accept = '*/*' } = request.headers;
    const base = studiesUrlOf({ publicUrl: this.config.PUBLIC_URL, protocol: request.protocol, host: request.host }).replace(/\/studies$/, '');
    const types = accept.split(',').map((range) => range.split(';')[0]?.trim().toLowerCase());
    if (types.some((type) => [WADL, 'application/xml', 'application/*', '*/*'].includes(type ?? ''))) {
      void reply.header('Content-Type', `${WADL}; charset=utf-8`);
      return capabilitiesWadl(base);
    }
    if (!types.includes('application/json')) throw new AppError('not-acceptable', { detail: `Capabilities are described in ${WADL} and application/json.` });
    void reply.header('Content-Type', 'application/json; charset=utf-8');
    return JSON.stringify(capabilitiesJson(base));
  }
}
