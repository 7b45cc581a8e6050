import { Controller, Delete, Get, Headers, Module, Param, Post, Query, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { noteForAudit } from '../audit/audit-note.js';
import { CurrentPrincipal, RequirePermission, type Principal } from '../http/access.js';
import { requireMatch, TakesIfMatch } from '../http/if-match.js';
import { Operation } from '../http/openapi.js';
import { etagOf } from '../http/representation.js';
import { QueueControl } from './queue-control.service.js';
import { JOB_STATES, QueueView, type QueueSummary } from './queue-view.js';
import { jobExample, jobJson, jobPage, jobSchema, queueExample, queueJson, queueSchema, queuesSchema, type JobJson, type QueueJson } from './queues-json.js';

/** Of those who run the installation: they see the jobs of every institution. */
const PLATFORM = 'queues:write';
const ETAG = { ETag: 'Whether the queue is paused, for If-Match' };

const queueName = z.string().regex(/^[a-z][a-z-]{0,40}$/).meta({ example: 'orphan-blobs' });
const jobId = z.string().regex(/^[\w:-]{1,100}$/).meta({ example: jobExample.id });
const jobsQuery = z.strictObject({
  state: z.enum(JOB_STATES).default('failed').meta({ description: 'Jobs in this state', example: 'failed' }),
  limit: z.coerce.number().int().min(1).max(200).default(50).meta({ description: 'Items a page, at most 200', example: 50 }),
  cursor: z.string().regex(/^\d{1,9}$/).optional().meta({ description: '`nextCursor` of the page before', example: '50' }),
});

/** The queues, and the jobs that need somebody. Counts are those of the installation; jobs are shown to whose they are. */
@ApiTags('jobs')
@Controller('api/v1/queues')
export class QueuesController {
  constructor(
    private readonly view: QueueView,
    private readonly control: QueueControl,
  ) {}

  @Get()
  @RequirePermission('jobs:read')
  @Operation({
    id: 'listQueues', summary: 'How long the queues are', description: 'Of the whole installation: numbers alone.',
    answers: { 200: { description: 'All queues', schema: queuesSchema, example: { items: [queueExample] } } }, problems: ['queue-unavailable'],
  })
  async list(): Promise<{ items: QueueJson[] }> {
    return { items: (await this.view.summaries()).map(queueJson) };
  }

  @Get(':name')
  @RequirePermission('jobs:read')
  @Operation({
    id: 'getQueue', summary: 'One queue', answers: { 200: { description: 'The queue', schema: queueSchema, example: queueExample, headers: ETAG } }, problems: ['not-found', 'queue-not-found', 'queue-unavailable'],
  })
  async get(@Param('name', { schema: queueName }) name: string, @Res({ passthrough: true }) reply: FastifyReply): Promise<QueueJson> {
    return answer(await this.view.summary(name), reply);
  }

  @Get(':name/jobs')
  @RequirePermission('jobs:read')
  @Operation({
    id: 'listJobs', summary: 'Jobs of a queue', description: 'Newest first. Those of your own institution; whoever runs the installation sees all of them, the timed ones too. The list moves while it is read, and a page may hold fewer than `limit` and yet not be the last.',
    answers: { 200: { description: 'A page', schema: jobPage, example: { items: [jobExample], nextCursor: null } } }, problems: ['invalid-query', 'queue-not-found', 'queue-unavailable'],
  })
  async jobs(@CurrentPrincipal() principal: Principal, @Param('name', { schema: queueName }) name: string, @Query({ schema: jobsQuery }) { state, limit, cursor }: z.infer<typeof jobsQuery>): Promise<{ items: JobJson[]; nextCursor: string | null }> {
    const { jobs, next } = await this.view.jobs(name, { state, limit, offset: Number(cursor ?? 0), institutionId: reach(principal) });
    return { items: jobs.map(jobJson), nextCursor: next === null ? null : String(next) };
  }

  @Post(':name/jobs/:id/retry')
  @RequirePermission('jobs:write')
  @Operation({
    id: 'retryJob', summary: 'Try a job again that was given up', description: 'With all its tries. Mend first what it met, or it will be given up again.',
    answers: { 202: { description: 'It waits for its turn', schema: jobSchema, example: { ...jobExample, state: 'waiting', attempts: 0, failure: null, startedAt: null, finishedAt: null } } }, problems: ['not-found', 'queue-not-found', 'job-not-found', 'job-not-parked', 'queue-unavailable'],
  })
  async retry(@CurrentPrincipal() principal: Principal, @Param('name', { schema: queueName }) name: string, @Param('id', { schema: jobId }) id: string, @Req() request: FastifyRequest): Promise<JobJson> {
    noteForAudit(request, { object: id, details: { queue: name } });
    return jobJson(await this.control.retry(name, id, reach(principal)));
  }

  @Delete(':name/jobs/:id')
  @RequirePermission('jobs:write')
  @Operation({
    id: 'deleteJob', summary: 'Remove a job for good', description: 'What it was to do is not done. A job that a worker has cannot be removed, nor the next run of a timed one.',
    answers: { 204: { description: 'Removed' } }, problems: ['not-found', 'queue-not-found', 'job-not-found', 'job-not-removable', 'queue-unavailable'],
  })
  async remove(@CurrentPrincipal() principal: Principal, @Param('name', { schema: queueName }) name: string, @Param('id', { schema: jobId }) id: string, @Req() request: FastifyRequest): Promise<void> {
    noteForAudit(request, { object: id, details: { queue: name } });
    await this.control.remove(name, id, reach(principal));
  }

  @Post(':name/pause')
  @TakesIfMatch()
  @RequirePermission(PLATFORM)
  @Operation({
    id: 'pauseQueue', summary: 'Have nobody take jobs of a queue', description: 'Of the whole installation. Jobs that run are finished, those that come wait.',
    answers: { 200: { description: 'Paused', schema: queueSchema, example: { ...queueExample, paused: true }, headers: ETAG } }, problems: ['not-found', 'queue-not-found', 'precondition-failed', 'queue-unavailable'],
  })
  pause(@Param('name', { schema: queueName }) name: string, @Headers('if-match') ifMatch: string | undefined, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<QueueJson> {
    return this.change(name, ifMatch, request, reply, () => this.control.pause(name));
  }

  @Post(':name/resume')
  @TakesIfMatch()
  @RequirePermission(PLATFORM)
  @Operation({
    id: 'resumeQueue', summary: 'Go on with a queue that was paused',
    answers: { 200: { description: 'It goes on', schema: queueSchema, example: queueExample, headers: ETAG } }, problems: ['not-found', 'queue-not-found', 'precondition-failed', 'queue-unavailable'],
  })
  resume(@Param('name', { schema: queueName }) name: string, @Headers('if-match') ifMatch: string | undefined, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<QueueJson> {
    return this.change(name, ifMatch, request, reply, () => this.control.resume(name));
  }

  private async change(name: string, ifMatch: string | undefined, request: FastifyRequest, reply: FastifyReply, work: () => Promise<void>): Promise<QueueJson> {
    noteForAudit(request, { object: name });
    requireMatch(ifMatch, queueETag(await this.view.summary(name)));
    await work();
    return answer(await this.view.summary(name), reply);
  }
}

@Module({ controllers: [QueuesController] })
export class QueuesApiModule {}

/** Whose jobs a caller sees and changes; undefined: everybody's. */
function reach({ permissions, institutionId }: Principal): string | undefined {
  return permissions.has(PLATFORM) ? undefined : institutionId;
}

function queueETag({ name, isPaused }: QueueSummary): string {
  return etagOf(name, String(isPaused));
}

function answer(queue: QueueSummary, reply: FastifyReply): QueueJson {
  void reply.header('ETag', queueETag(queue));
  return queueJson(queue);
}
