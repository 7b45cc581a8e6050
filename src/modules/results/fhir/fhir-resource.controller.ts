import { Body, Controller, Get, HttpCode, Param, Post, Req, Res, type Type } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { CurrentPrincipal, RequirePermission, type Principal } from '../../../platform/http/access.js';
import { FHIR_PERMISSIONS } from '../../users/users.contract.js';
import { FormSearchOperation, ReadOperation, searchForm, SearchOperation } from './fhir-operation.js';
import { FhirService, queryOf } from './fhir.service.js';
import { FHIR_TYPES, type FhirType } from './search-parameters.js';

/** Read and search of one type. */
function controllerOf(type: FhirType): Type {
  @ApiTags('fhir')
  @RequirePermission(FHIR_PERMISSIONS[type])
  @Controller(`fhir/${type}`)
  class FhirResourceController {
    constructor(private readonly fhir: FhirService) {}

    @Get()
    @SearchOperation(type)
    async search(@CurrentPrincipal() principal: Principal, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<string> {
      return this.fhir.search(type, queryOf(request), { principal, request, reply });
    }

    @Post('_search')
    @HttpCode(200)
    @FormSearchOperation(type)
    async searchByForm(@Body({ schema: searchForm(type) }) form: Record<string, string | string[]> | undefined, @CurrentPrincipal() principal: Principal, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<string> {
      const given = Object.entries(form ?? {}).flatMap(([name, values]) => [values].flat().map((value) => [name, value]));
      return this.fhir.search(type, new URLSearchParams([...queryOf(request), ...given]), { principal, request, reply });
    }

    @Get(':id')
    @ReadOperation(type)
    async read(@Param('id') id: string, @CurrentPrincipal() principal: Principal, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<string | undefined> {
      return this.fhir.read(type, id, { principal, request, reply });
    }
  }
  Object.defineProperty(FhirResourceController, 'name', { value: `Fhir${type}Controller` });
  return FhirResourceController;
}

/** One for each type that is served. */
export const fhirControllers: readonly Type[] = FHIR_TYPES.map(controllerOf);
