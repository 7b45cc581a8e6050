import { Controller, Get, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { CurrentPrincipal, RequirePermission, type Principal } from '../../platform/http/access.js';
import { Operation } from '../../platform/http/openapi.js';
import { ResultRetentionStore } from './result-retention.store.js';

const LONGEST_RETENTION_DAYS = 36_500;

const previewQuery = z.strictObject({
  resultRetentionDays: z.coerce.number().int().min(1).max(LONGEST_RETENTION_DAYS).optional().meta({ description: 'Tries this instead of what the institution has decided', example: 3_650 }),
});
const previewSchema = z
  .object({
    resultRetentionDays: z.int().nullable(),
    results: z.int().meta({ description: 'Results that would be removed now' }),
    onHold: z.int().meta({ description: 'Results as old of studies under legal hold, which stay' }),
    oldest: z.iso.datetime().nullable().meta({ description: 'When the oldest of them was made' }),
  })
  .meta({ id: 'ResultRetentionPreview' });

@ApiTags('results')
@Controller('api/v1/result-retention')
export class ResultRetentionController {
  constructor(private readonly store: ResultRetentionStore) {}

  @Get('preview')
  @RequirePermission('institutions:read')
  @Operation({
    id: 'previewResultRetention',
    summary: 'What the retention of results would remove',
    description:
      'Removes nothing. `resultRetentionDays` of the institution counts from when a result was made, reviewed or not; results of studies under legal hold stay. What is removed goes with its heat maps and notifications, and its run says when (`resultRemovedAt`).',
    answers: { 200: { description: 'What would be removed now', schema: previewSchema, example: { resultRetentionDays: 3_650, results: 12, onHold: 1, oldest: '2016-02-03T08:00:00.000Z' } } },
    problems: ['invalid-query'],
  })
  async preview(@CurrentPrincipal() { institutionId }: Principal, @Query({ schema: previewQuery }) query: z.output<typeof previewQuery>): Promise<z.infer<typeof previewSchema>> {
    const days = query.resultRetentionDays ?? (await this.store.retentionDaysOf(institutionId));
    if (days === null) return { resultRetentionDays: null, results: 0, onHold: 0, oldest: null };
    const { results, onHold, oldest } = await this.store.preview(institutionId, days);
    return { resultRetentionDays: days, results, onHold, oldest: oldest?.toISOString() ?? null };
  }
}
