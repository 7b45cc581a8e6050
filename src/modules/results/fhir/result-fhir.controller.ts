import { Controller, Get, Param, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { CurrentPrincipal, RequirePermission, type Principal } from '../../../platform/http/access.js';
import { Operation } from '../../../platform/http/openapi.js';
import { bundleAnswer } from './fhir-operation.js';
import { FhirService } from './fhir.service.js';

@ApiTags('results')
@RequirePermission('results:read')
@Controller('api/v1/results')
export class ResultFhirController {
  constructor(private readonly fhir: FhirService) {}

  @Get(':id/fhir')
  @Operation({
    id: 'getResultFhir', summary: 'A result as FHIR R4',
    description: 'A Bundle of the DiagnosticReport with its Observations, DocumentReferences, Provenance and Device, and of the ImagingStudy and the Patient where the caller may see them.',
    answers: { 200: { ...bundleAnswer('The Bundle', 'collection'), headers: { 'Content-Language': '`en` or `zh-CN`, after Accept-Language' } } },
    problems: ['result-not-found', 'result-withheld', 'not-acceptable'],
  })
  async get(@Param('id', { schema: z.uuid() }) id: string, @CurrentPrincipal() principal: Principal, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<string | undefined> {
    return this.fhir.resultBundle(id, { principal, request, reply });
  }
}
