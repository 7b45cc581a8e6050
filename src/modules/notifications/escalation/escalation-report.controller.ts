import { Controller, Get, Headers, Query, Res, StreamableFile } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { Readable } from 'node:stream';
import { z } from 'zod';
import { AppError } from '../../../kernel/errors.js';
import { CurrentPrincipal, RequirePermission, type Principal } from '../../../platform/http/access.js';
import { Operation } from '../../../platform/http/openapi.js';
import { escalationCsv } from './escalation-csv.js';
import { EscalationReportStore } from './escalation-report.store.js';

const DAYS_MS = 30 * 24 * 3_600_000;

const time = z.iso.datetime({ offset: true });
const reportQuery = z.strictObject({
  from: time.optional().meta({ description: 'Came in not before; 30 days before `to` when omitted', example: '2026-11-01T00:00:00Z' }),
  to: time.optional().meta({ description: 'Came in before; now when omitted', example: '2026-12-01T00:00:00Z' }),
});

const reportSchema = z
  .object({
    from: z.string().meta({ format: 'date-time' }), to: z.string().meta({ format: 'date-time' }),
    count: z.number().int().meta({ description: 'Critical results that people were notified of' }),
    acknowledged: z.number().int(), unacknowledged: z.number().int(),
    medianSeconds: z.number().nullable().meta({ description: 'From notification to acknowledgement, of those that were acknowledged' }),
    p95Seconds: z.number().nullable(),
  })
  .meta({ id: 'EscalationReport' });
type ReportJson = z.infer<typeof reportSchema>;

const example: ReportJson = { from: '2026-11-01T00:00:00.000Z', to: '2026-12-01T00:00:00.000Z', count: 42, acknowledged: 41, unacknowledged: 1, medianSeconds: 184.2, p95Seconds: 611.9 };

/** How fast an institution acknowledges its critical results. */
@ApiTags('notifications')
@Controller('api/v1/escalations')
export class EscalationReportController {
  constructor(private readonly store: EscalationReportStore) {}

  @Get('report')
  @RequirePermission('critical-rules:read')
  @Operation({
    id: 'getEscalationReport', summary: 'How fast critical results are acknowledged',
    description: 'Of the notifications that are still there: they go with their results. With `Accept: text/csv` a line for each.',
    answers: { 200: { description: 'The report', schema: reportSchema, example, alsoAs: ['text/csv'] } }, problems: ['invalid-query'],
  })
  async report(
    @CurrentPrincipal() { institutionId }: Principal, @Query({ schema: reportQuery }) query: z.output<typeof reportQuery>,
    @Headers('accept') accept: string | undefined, @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<ReportJson | StreamableFile> {
    const to = query.to === undefined ? new Date() : new Date(query.to);
    const from = query.from === undefined ? new Date(to.getTime() - DAYS_MS) : new Date(query.from);
    if (from >= to) throw new AppError('invalid-query', { errors: [{ pointer: '/from', detail: 'must be before `to`' }] });
    void reply.header('Cache-Control', 'no-store').header('Vary', 'Accept');
    if (/\btext\/csv\b/i.test(accept ?? '')) {
      const lines = escalationCsv((page) => this.store.list(institutionId, { from, to }, page));
      return new StreamableFile(Readable.from(lines, { objectMode: false }), { type: 'text/csv; charset=utf-8', disposition: 'attachment; filename="escalations.csv"' });
    }
    const { count, acknowledged, medianSeconds, p95Seconds } = await this.store.times(institutionId, { from, to });
    return { from: from.toISOString(), to: to.toISOString(), count, acknowledged, unacknowledged: count - acknowledged, medianSeconds, p95Seconds };
  }
}
