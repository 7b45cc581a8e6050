import { Controller, Get, Res } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { Public } from '../http/access.js';
import { Metrics } from './metrics.js';

@ApiTags('operations')
@Controller()
export class MetricsController {
  constructor(private readonly metrics: Metrics) {}

  @Public()
  @Get('metrics')
  @ApiOperation({ operationId: 'getMetrics', summary: 'Metrics', description: 'Prometheus text format. On its own port when `METRICS_PORT` is set.' })
  @ApiOkResponse({ description: 'The metrics of this process', content: { 'text/plain': { schema: { type: 'string' }, example: 'healthvision_analysis_active_runs 0' } } })
  async scrape(@Res() reply: FastifyReply): Promise<void> {
    await reply.header('Content-Type', this.metrics.registry.contentType).send(await this.metrics.registry.metrics());
  }
}
