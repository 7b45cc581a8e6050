import { Controller, Get, Headers, Param, Query, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { AppError } from '../../../kernel/errors.js';
import { RequirePermission } from '../../../platform/http/access.js';
import { Operation } from '../../../platform/http/openapi.js';
import { pageOf, type Page } from '../../../platform/http/page.js';
import { languageOf } from '../../../platform/http/problem.js';
import { etagOf, isNotModified } from '../../../platform/http/representation.js';
import { modelExample, modelJson, modelPageSchema, modelQuery, modelSchema, type ModelJson, type ModelQuery } from './models-json.js';
import { ModelsStore } from './models.store.js';

@ApiTags('models')
@RequirePermission('models:read')
@Controller('api/v1/models')
export class ModelsController {
  constructor(private readonly store: ModelsStore) {}

  @Get()
  @Operation({
    id: 'listModels', summary: 'List installed models', description: 'Newest first; rejected ones with their reason.',
    answers: { 200: { description: 'A page of models', schema: modelPageSchema, example: { items: [modelExample], nextCursor: null } } },
    problems: ['invalid-query'],
  })
  async list(@Query({ schema: modelQuery }) query: ModelQuery, @Headers('accept-language') acceptLanguage?: string): Promise<Page<ModelJson>> {
    const { limit, cursor, ...filter } = query;
    return pageOf(await this.store.list(filter, { limit, cursor }), limit, (row) => modelJson(row, languageOf(acceptLanguage)));
  }

  @Get(':name/:version')
  @Operation({
    id: 'getModel', summary: 'One version of a model',
    answers: { 200: { description: 'The model', schema: modelSchema, example: modelExample, headers: { ETag: 'State of the model' } }, 304: { description: 'Not changed since If-None-Match' } },
    problems: ['model-not-found'],
  })
  async get(
    @Param('name', { schema: z.string() }) name: string, @Param('version', { schema: z.string() }) version: string,
    @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<ModelJson | undefined> {
    const row = await this.store.find(name, version);
    if (!row) throw new AppError('model-not-found');
    const language = languageOf(request.headers['accept-language']);
    const json = modelJson(row, language);
    return isNotModified(request, reply, etagOf(JSON.stringify(json)), language) ? undefined : json;
  }
}
