import { Body, Controller, Get, Param, Post, Query, Req, Res, UseGuards, type MessageEvent } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Observable } from 'rxjs';
import { z } from 'zod';
import { AppError } from '../../kernel/errors.js';
import { noteForAudit } from '../../platform/audit/audit-note.js';
import { CurrentPrincipal, RequirePermission, type Principal } from '../../platform/http/access.js';
import { EventStream } from '../../platform/http/event-stream.js';
import { Idempotent } from '../../platform/http/idempotency.interceptor.js';
import { Operation, serverSentEvent } from '../../platform/http/openapi.js';
import { pageOf, type Page } from '../../platform/http/page.js';
import { etagOf, isNotModified } from '../../platform/http/representation.js';
import { RunExistsGuard } from './run-exists.guard.js';
import { RunFeed } from './run-feed.service.js';
import { analysisExample, analysisJson, analysisPageSchema, analysisQuery, analysisSchema, newAnalysisSchema, type AnalysisJson, type AnalysisQuery, type NewAnalysis } from './runs-json.js';
import { RunsService } from './runs.service.js';
import { RunsStore, type RunRow } from './runs.store.js';

const id = z.uuid();
const ETAG = { ETag: 'State of the run' };

@ApiTags('analyses')
@Controller('api/v1/analyses')
export class RunsController {
  constructor(
    private readonly runs: RunsService,
    private readonly store: RunsStore,
    private readonly feed: RunFeed,
  ) {}

  @Post()
  @RequirePermission('analyses:create')
  @Idempotent()
  @Operation({
    id: 'createAnalysis', summary: 'Analyse a study',
    description: 'The same request again answers 200 with the run that is there, ended or not; `retry` starts an ended one again. Runs also start by themselves when a study is complete and an active model fits it.',
    answers: {
      202: { description: 'The run is queued', schema: analysisSchema, example: { ...analysisExample, status: 'queued' }, headers: { Location: 'The run', ...ETAG } },
      200: { description: 'The run was there already', schema: analysisSchema, example: analysisExample, headers: { Location: 'The run', ...ETAG } },
    },
    problems: ['invalid-body', 'study-not-found', 'series-not-found', 'model-not-found', 'no-active-model', 'model-rejected', 'model-mismatch', 'conflict', 'idempotency-key-reused'],
  })
  async create(@Body({ schema: newAnalysisSchema }) body: NewAnalysis, @CurrentPrincipal() { institutionId, userId }: Principal, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<AnalysisJson> {
    noteForAudit(request, { studyInstanceUids: [body.studyInstanceUid] });
    const { run, created } = await this.runs.request(institutionId, userId, body);
    void reply.status(created ? 202 : 200).header('Location', `/api/v1/analyses/${run.id}`);
    noteForAudit(request, { object: run.id });
    return tagged(run, reply);
  }

  @Get()
  @RequirePermission('analyses:read')
  @Operation({
    id: 'listAnalyses', summary: 'List runs', description: 'Newest first.',
    answers: { 200: { description: 'A page of runs', schema: analysisPageSchema, example: { items: [analysisExample], nextCursor: null } } },
    problems: ['invalid-query'],
  })
  async list(@Query({ schema: analysisQuery }) query: AnalysisQuery, @CurrentPrincipal() { institutionId }: Principal, @Req() request: FastifyRequest): Promise<Page<AnalysisJson>> {
    const { limit, cursor, ...filter } = query;
    const runs = await this.store.list(institutionId, filter, { limit, cursor });
    noteForAudit(request, { studyInstanceUids: runs.slice(0, limit).map(({ studyInstanceUid }) => studyInstanceUid) });
    return pageOf(runs, limit, analysisJson);
  }

  @Get(':id')
  @RequirePermission('analyses:read')
  @Operation({
    id: 'getAnalysis', summary: 'One run',
    answers: { 200: { description: 'The run', schema: analysisSchema, example: analysisExample, headers: ETAG }, 304: { description: 'Not changed since If-None-Match' } },
    problems: ['analysis-not-found'],
  })
  async get(@Param('id', { schema: id }) runId: string, @CurrentPrincipal() { institutionId }: Principal, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<AnalysisJson | undefined> {
    const run = await this.store.find(institutionId, runId);
    if (!run) throw new AppError('analysis-not-found');
    noteForAudit(request, { studyInstanceUids: [run.studyInstanceUid] });
    const json = analysisJson(run);
    return isNotModified(request, reply, etagOf(JSON.stringify(json))) ? undefined : json;
  }

  @EventStream(':id/events')
  @UseGuards(RunExistsGuard)
  @RequirePermission('analyses:read')
  @Operation({
    id: 'watchAnalysis', summary: 'Follow a run',
    description: 'Server-sent events named `progress`, whose data are the run as `GET` gives it: at once, at every change, and last in its final state, with which the stream ends. A comment comes every 15 seconds.',
    answers: { 200: { description: 'The stream', mediaType: 'text/event-stream', schema: serverSentEvent, example: { event: 'progress', data: JSON.stringify(analysisExample) } } },
    problems: ['analysis-not-found'],
  })
  watch(@Param('id', { schema: id }) runId: string, @CurrentPrincipal() { institutionId }: Principal): Observable<MessageEvent> {
    return this.feed.watch(institutionId, runId);
  }

  @Post(':id/cancel')
  @RequirePermission('analyses:cancel')
  @Operation({
    id: 'cancelAnalysis', summary: 'Cancel a run', description: 'A queued run is cancelled at once, a running one stops within about a second; cancelling a cancelled one changes nothing.',
    answers: { 200: { description: 'The run', schema: analysisSchema, example: { ...analysisExample, status: 'cancelled' }, headers: ETAG } },
    problems: ['analysis-not-found', 'analysis-not-cancellable'],
  })
  async cancel(@Param('id', { schema: id }) runId: string, @CurrentPrincipal() { institutionId }: Principal, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<AnalysisJson> {
    return tagged(noted(request, await this.runs.cancel(institutionId, runId)), reply);
  }

  @Post(':id/retry')
  @RequirePermission('analyses:create')
  @Operation({
    id: 'retryAnalysis', summary: 'Run again', description: 'For runs that failed, were cancelled or were not analysable.',
    answers: { 202: { description: 'The run is queued again', schema: analysisSchema, example: { ...analysisExample, status: 'queued' }, headers: ETAG } },
    problems: ['analysis-not-found', 'analysis-not-retryable', 'study-deleted'],
  })
  async retry(@Param('id', { schema: id }) runId: string, @CurrentPrincipal() { institutionId }: Principal, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<AnalysisJson> {
    return tagged(noted(request, await this.runs.retry(institutionId, runId)), reply);
  }
}

function noted(request: FastifyRequest, run: RunRow): RunRow {
  noteForAudit(request, { studyInstanceUids: [run.studyInstanceUid] });
  return run;
}

function tagged(run: RunRow, reply: FastifyReply): AnalysisJson {
  const json = analysisJson(run);
  void reply.header('ETag', etagOf(JSON.stringify(json)));
  return json;
}
