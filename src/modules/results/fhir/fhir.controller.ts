import { All, Controller, Get, Req, Res } from '@nestjs/common';
import { ApiExcludeEndpoint, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { AppError } from '../../../kernel/errors.js';
import { Authenticated, Public } from '../../../platform/http/access.js';
import { VERSION } from '../../../platform/version.js';
import { capabilityStatement } from './capability-statement.js';
import { requireJson } from './exchange.js';
import { FhirOperation, resourceSchema } from './fhir-operation.js';
import { FhirService, queryOf } from './fhir.service.js';
import { CONTENT_TYPE, FHIR_JSON, FhirErrorAnswers } from './outcome.js';

/** What belongs to no type. */
@ApiTags('fhir')
@Controller('fhir')
export class FhirController {
  constructor(private readonly fhir: FhirService) {}

  @Get('metadata')
  @Public()
  @FhirOperation({
    id: 'getFhirCapabilities', summary: 'What FHIR offers here', description: 'The CapabilityStatement: types, searches, how to sign in.',
    answers: { 200: { description: 'The CapabilityStatement', mediaType: FHIR_JSON, schema: resourceSchema('CapabilityStatement'), example: { resourceType: 'CapabilityStatement', status: 'active', kind: 'instance', fhirVersion: '4.0.1' } } },
    public: true,
  })
  capabilities(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): string {
    requireJson(request.headers.accept, queryOf(request).get('_format'));
    void reply.header('Content-Type', CONTENT_TYPE).header('Vary', 'Accept');
    return JSON.stringify(capabilityStatement(this.fhir.baseOf(request), VERSION));
  }

  /** Other types, other interactions: answered in FHIR's own form. */
  @All()
  @Authenticated()
  @ApiExcludeEndpoint()
  @FhirErrorAnswers()
  root(@Req() request: FastifyRequest): never {
    return refuse(request);
  }

  @All('*')
  @Authenticated()
  @ApiExcludeEndpoint()
  @FhirErrorAnswers()
  other(@Req() request: FastifyRequest): never {
    return refuse(request);
  }
}

/** @throws AppError `not-found` for what is asked for, `method-not-allowed` for what would change something */
function refuse({ method }: FastifyRequest): never {
  if (method !== 'GET' && method !== 'HEAD') throw new AppError('method-not-allowed', { detail: 'FHIR is for reading here: read and search.' });
  throw new AppError('not-found', { detail: 'There is no such type or interaction; /fhir/metadata lists those that there are.' });
}
