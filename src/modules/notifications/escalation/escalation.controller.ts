import { Controller, Get, Param } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { AppError } from '../../../kernel/errors.js';
import { CurrentPrincipal, RequirePermission, type Principal } from '../../../platform/http/access.js';
import { Operation } from '../../../platform/http/openapi.js';
import { escalationExample, escalationJson, escalationSchema, type EscalationJson } from './escalation-json.js';
import { EscalationReportStore } from './escalation-report.store.js';

@ApiTags('notifications')
@RequirePermission('notifications:read')
@Controller('api/v1/notifications')
export class EscalationController {
  constructor(private readonly store: EscalationReportStore) {}

  @Get(':id/escalation')
  @Operation({
    id: 'getEscalation', summary: 'Who was told of a critical result, and who acknowledged it',
    answers: { 200: { description: 'The escalation', schema: escalationSchema, example: escalationExample } }, problems: ['escalation-not-found'],
  })
  async get(@CurrentPrincipal() { institutionId }: Principal, @Param('id', { schema: z.uuid() }) id: string): Promise<EscalationJson> {
    const found = await this.store.find(institutionId, id);
    if (!found) throw new AppError('escalation-not-found');
    return escalationJson(found);
  }
}
