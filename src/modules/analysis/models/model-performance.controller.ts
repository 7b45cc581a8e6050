import { Controller, Get, Param, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { AppError } from '../../../kernel/errors.js';
import { CurrentPrincipal, RequirePermission, type Principal } from '../../../platform/http/access.js';
import { Operation } from '../../../platform/http/openapi.js';
import { pageOf, pageQuery, pageSchema, type Page, type PageQuery } from '../../../platform/http/page.js';
import { ModelStatesStore, type ActivationRow } from './model-states.store.js';
import { performanceExample, performanceQuery, performanceSchema, seriesJson, type PerformanceJson } from './performance-json.js';
import { ModelPerformance } from './performance.service.js';

const DEFAULT_WINDOW_MS = 90 * 86_400_000;

const transitionSchema = z
  .object({
    id: z.uuid(), version: z.string(), digest: z.string(), from: z.string(), to: z.string(),
    cause: z.enum(['checked', 'set', 'rollback', 'displaced']).meta({ description: '`displaced`: another model took its place' }),
    reason: z.string().nullable(), userId: z.uuid().nullable().meta({ description: 'null: the installation itself' }), at: z.iso.datetime(),
  })
  .meta({ id: 'ModelTransition', description: 'A change of the state of a version' });
const historySchema = pageSchema(transitionSchema, 'ModelHistory');
type TransitionJson = z.infer<typeof transitionSchema>;

const transitionExample: TransitionJson = {
  id: '0198c0de-4a10-7b11-8a01-0c9d8e7f6a5b', version: '1.1.0', digest: 'sha256:60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752', from: 'shadow', to: 'active', cause: 'set',
  reason: 'Better on portable X-rays', userId: '0198c0de-4a10-7c3e-9d52-6f0f1c2b3a4a', at: '2026-11-21T10:00:00.000Z',
};

/** How models do, and how they came to serve. */
@ApiTags('models')
@RequirePermission('models:read')
@Controller('api/v1/models')
export class ModelPerformanceController {
  constructor(
    private readonly performance: ModelPerformance,
    private readonly states: ModelStatesStore,
  ) {}

  @Get(':name/performance')
  @Operation({
    id: 'getModelPerformance',
    summary: 'How the versions of a model do here',
    description: 'Runs by status, latencies by stage and rates of positive labels of each version; and, on studies that the active model and one in its shadow have both read, how far the two agree. What persons made of the results, as figures and in the course of time: by station and by scanner too.',
    answers: { 200: { description: 'Figures', schema: performanceSchema, example: performanceExample } },
    problems: ['invalid-query', 'model-not-found'],
  })
  async get(@Param('name', { schema: z.string() }) name: string, @Query({ schema: performanceQuery }) query: z.output<typeof performanceQuery>, @CurrentPrincipal() { institutionId, permissions }: Principal): Promise<PerformanceJson> {
    if (query.of === 'installation' && !permissions.has('models:write')) throw new AppError('forbidden', { detail: 'Figures of all institutions are for who runs the installation.' });
    const to = query.to ?? new Date();
    const from = query.from ?? new Date(to.getTime() - DEFAULT_WINDOW_MS);
    if (from > to) throw new AppError('invalid-query', { errors: [{ pointer: '/from', detail: 'is after `to`' }] });
    const figures = await this.performance.of(query.of === 'installation' ? 'system' : { institutionId }, name, { from, to }, query.bucket);
    return { name, of: query.of, from: from.toISOString(), to: to.toISOString(), comparisons: figures.comparisons, versions: figures.versions.map((version) => ({ ...version, series: seriesJson(version.series) })) };
  }

  @Get(':name/history')
  @Operation({
    id: 'getModelHistory', summary: 'How the versions of a model came to their states', description: 'Newest first.',
    answers: { 200: { description: 'A page of changes', schema: historySchema, example: { items: [transitionExample], nextCursor: null } } },
    problems: ['invalid-query'],
  })
  async history(@Param('name', { schema: z.string() }) name: string, @Query({ schema: pageQuery }) { limit, cursor }: PageQuery): Promise<Page<TransitionJson>> {
    return pageOf(await this.states.history(name, { limit, cursor }), limit, transitionJson);
  }
}

function transitionJson({ id, modelVersion, modelDigest, fromState, toState, cause, reason, userId, createdAt }: ActivationRow): TransitionJson {
  // The column holds nothing else.
  return { id, version: modelVersion, digest: modelDigest, from: fromState, to: toState, cause: cause as TransitionJson['cause'], reason, userId, at: createdAt.toISOString() };
}
