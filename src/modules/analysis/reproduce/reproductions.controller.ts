import { Controller, Get, Param, Post, Query, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { comparisonSchema } from '../../../imaging/report/reproduction.js';
import { AppError } from '../../../kernel/errors.js';
import { noteForAudit } from '../../../platform/audit/audit-note.js';
import { CurrentPrincipal, RequirePermission, type Principal } from '../../../platform/http/access.js';
import { Idempotent } from '../../../platform/http/idempotency.interceptor.js';
import { Operation } from '../../../platform/http/openapi.js';
import { pageOf, pageQuery, pageSchema, type Page, type PageQuery } from '../../../platform/http/page.js';
import { StudyResults } from '../../results/results.contract.js';
import { analysisExample, analysisJson, analysisSchema, type AnalysisJson } from '../runs-json.js';
import { RUN_STATUSES } from '../runs.store.js';
import { Reproductions } from './reproductions.service.js';
import { ReproductionsStore, type ReproductionRecord } from './reproductions.store.js';

const id = z.uuid();

const reproductionSchema = z
  .object({
    analysisId: z.uuid().meta({ description: 'The run' }), resultId: z.uuid(), requestedBy: z.uuid(), status: z.enum(RUN_STATUSES),
    reason: z.object({ code: z.string(), detail: z.string() }).optional().meta({ description: 'Why it did not come to an end' }),
    outcome: z.enum(['identical', 'different']).nullable().meta({ description: '`identical`: the same images gave the same findings, labels and segments to the last digit. null until the run has succeeded' }),
    comparison: comparisonSchema.nullable(),
    createdAt: z.iso.datetime(), comparedAt: z.iso.datetime().nullable(),
  })
  .meta({ id: 'Reproduction', description: 'A run that computes a result again, and how the two compare' });
const reproductionPage = pageSchema(reproductionSchema, 'ReproductionPage');
type ReproductionJson = z.infer<typeof reproductionSchema>;

const runExample: AnalysisJson = { ...analysisExample, status: 'queued', priority: 'research', progress: 0, stage: 'queued', timings: {} };
const example: ReproductionJson = {
  analysisId: analysisExample.id, resultId: '0198c0de-4a10-7c3e-9d52-6f0f1c2b3a49', requestedBy: '0198c0de-4a10-7c3e-9d52-6f0f1c2b3a4a', status: 'succeeded', outcome: 'different',
  comparison: {
    inputDigest: null, software: { original: '1.0.0', again: '1.1.0' }, executionProvider: { original: 'cpu', again: 'cuda' },
    findings: { original: 0, again: 0, matched: 0, missing: [], additional: 0, maxScoreDifference: 0, maxDistanceMm: 0, measurements: [] },
    labels: { maxProbabilityDifference: 0.0002, changed: [{ name: 'Pneumonia', original: 0.93, again: 0.9302 }] }, segments: { maxVolumeDifferenceMl: 0, changed: [] },
  },
  createdAt: '2026-11-21T12:00:00.000Z', comparedAt: '2026-11-21T12:00:01.000Z',
};

/** Whether a result comes out again. */
@ApiTags('results')
@Controller('api/v1/results')
export class ReproductionsController {
  constructor(
    private readonly reproductions: Reproductions,
    private readonly store: ReproductionsStore,
    private readonly results: StudyResults,
  ) {}

  @Post(':id/reproduce')
  @RequirePermission('analyses:create')
  @Idempotent()
  @Operation({
    id: 'reproduceResult', summary: 'Compute a result again',
    description: 'Runs the model that made the result, by its digest, on the series that it was made from. The run is in no list and makes no result, notification or event: what differs is at `GET /results/{id}/reproductions`. While one is under way it is given again.',
    answers: {
      202: { description: 'The run is queued', schema: analysisSchema, example: runExample, headers: { Location: 'The run' } },
      200: { description: 'One is under way', schema: analysisSchema, example: runExample, headers: { Location: 'The run' } },
    },
    problems: ['result-not-found', 'model-gone', 'input-gone', 'conflict', 'idempotency-key-reused'],
  })
  async reproduce(@Param('id', { schema: id }) resultId: string, @CurrentPrincipal() { institutionId, userId }: Principal, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<AnalysisJson> {
    const { run, created } = await this.reproductions.request(institutionId, userId, resultId);
    noteForAudit(request, { studyInstanceUids: [run.studyInstanceUid], object: resultId, details: { analysisId: run.id } });
    void reply.status(created ? 202 : 200).header('Location', `/api/v1/analyses/${run.id}`);
    return analysisJson(run);
  }

  @Get(':id/reproductions')
  @RequirePermission('results:read')
  @Operation({
    id: 'listReproductions', summary: 'How a result came out again', description: 'Newest first.',
    answers: { 200: { description: 'A page of reproductions', schema: reproductionPage, example: { items: [example], nextCursor: null } } },
    problems: ['invalid-query', 'result-not-found'],
  })
  async list(@Param('id', { schema: id }) resultId: string, @Query({ schema: pageQuery }) { limit, cursor }: PageQuery, @CurrentPrincipal() { institutionId }: Principal, @Req() request: FastifyRequest): Promise<Page<ReproductionJson>> {
    const original = await this.results.original(institutionId, resultId);
    if (!original) throw new AppError('result-not-found');
    noteForAudit(request, { studyInstanceUids: [original.studyInstanceUid], object: resultId });
    const rows = await this.store.list(institutionId, resultId, { limit, cursor });
    // What differs would tell what a result says that is withheld.
    return pageOf(rows.map((row) => ({ ...row, id: row.analysisId, ...(original.status === 'withheld' && { comparison: null }) })), limit, reproductionJson);
  }
}

function reproductionJson({ analysisId, resultId, requestedBy, status, reasonCode, reasonDetail, outcome, comparison, createdAt, comparedAt }: ReproductionRecord): ReproductionJson {
  return {
    analysisId, resultId, requestedBy, status, ...(reasonCode !== null && { reason: { code: reasonCode, detail: reasonDetail ?? '' } }),
    outcome, comparison, createdAt: createdAt.toISOString(), comparedAt: comparedAt?.toISOString() ?? null,
  };
}
