import { Controller, Get, HttpCode, Res, ServiceUnavailableException } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiServiceUnavailableResponse, ApiTags } from '@nestjs/swagger';
import { HealthCheckService, HealthIndicatorService, type HealthCheckResult, type HealthIndicatorResult } from '@nestjs/terminus';
import type { FastifyReply } from 'fastify';
import { AppError } from '../../kernel/errors.js';
import { Database } from '../database/database.js';
import { Public } from '../http/access.js';
import { QueueProbe } from '../queue/queue-probe.js';
import { ObjectStore } from '../storage/object-store.js';
import { Readiness } from './readiness.js';
import { Shutdown } from './shutdown.js';

const readyExample = { status: 'ok', info: { database: { status: 'up' }, queue: { status: 'up' }, storage: { status: 'up' } }, error: {}, details: { database: { status: 'up' }, queue: { status: 'up' }, storage: { status: 'up' } } };
const notReadyExample = { status: 'error', info: {}, error: { database: { status: 'down', code: 'database-unavailable' } }, details: { database: { status: 'down', code: 'database-unavailable' } } };
const healthSchema = { type: 'object' as const, properties: { status: { type: 'string' as const }, info: { type: 'object' as const }, error: { type: 'object' as const }, details: { type: 'object' as const } } };

/** Liveness and readiness, for probes and load balancers. */
@ApiTags('operations')
@Public()
@Controller()
export class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly indicator: HealthIndicatorService,
    private readonly database: Database,
    private readonly queue: QueueProbe,
    private readonly objects: ObjectStore,
    private readonly shutdown: Shutdown,
    private readonly readiness: Readiness,
  ) {}

  @Get('health')
  @HttpCode(200)
  @ApiOperation({ operationId: 'getHealth', summary: 'Liveness', description: 'Answers while the process lives.' })
  @ApiOkResponse({ description: 'Alive', content: { 'application/json': { schema: { type: 'object', required: ['status'], properties: { status: { type: 'string', enum: ['ok'] } } }, example: { status: 'ok' } } } })
  alive(): { status: 'ok' } {
    return { status: 'ok' };
  }

  @Get('ready')
  @ApiOperation({ operationId: 'getReady', summary: 'Readiness', description: 'Whether database, queue and blob store answer, a worker has an execution provider to compute with, and the process was not told to stop.' })
  @ApiOkResponse({ description: 'Ready', content: { 'application/json': { schema: healthSchema, example: readyExample } } })
  @ApiServiceUnavailableResponse({ description: 'A part does not answer; `error` names it', content: { 'application/json': { schema: healthSchema, example: notReadyExample } } })
  async ready(@Res({ passthrough: true }) reply: FastifyReply): Promise<HealthCheckResult> {
    const result = await this.health
      .check([
        () => this.probe('database', () => this.database.ping()),
        () => this.probe('queue', () => this.queue.ping()),
        () => this.probe('storage', () => this.objects.ping()),
        ...[...this.readiness.parts].map(([name, ask]) => () => this.probe(name, ask)),
        ...(this.shutdown.isUnderWay ? [() => this.indicator.check('process').down({ code: 'shutting-down' })] : []),
      ])
      // Terminus throws its result inside a 503; here it is the answer, not an error.
      .catch((error: unknown) => {
        if (error instanceof ServiceUnavailableException) return error.getResponse() as HealthCheckResult;
        throw error;
      });
    void reply.status(result.status === 'ok' ? 200 : 503).header('Cache-Control', 'no-store');
    return result;
  }

  private async probe(name: string, ask: () => Promise<void>): Promise<HealthIndicatorResult> {
    const check = this.indicator.check(name);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => { timer = setTimeout(() => { reject(new Error('no answer within 3 s')); }, 3_000); });
    try {
      await Promise.race([ask(), late]);
      return check.up();
    } catch (error) {
      return check.down({ code: error instanceof AppError ? error.code : `${name}-unavailable` });
    } finally {
      clearTimeout(timer);
    }
  }
}
