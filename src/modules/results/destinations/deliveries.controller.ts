import { Controller, Get, Param, Post, Query, Req } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { AppError } from '../../../kernel/errors.js';
import { noteForAudit } from '../../../platform/audit/audit-note.js';
import { CurrentPrincipal, RequirePermission, type Principal } from '../../../platform/http/access.js';
import { Operation } from '../../../platform/http/openapi.js';
import { pageOf, pageQuery, type Page } from '../../../platform/http/page.js';
import { DELIVERY_STATES, DeliveriesStore } from './deliveries.store.js';
import { deliveryExample, deliveryJson, deliveryPage, deliverySchema, type DeliveryJson } from './destinations-json.js';
import { DestinationsStore } from './destinations.store.js';

const listQuery = z.strictObject({ ...pageQuery.shape, state: z.enum(DELIVERY_STATES).optional().meta({ description: 'Only in this state', example: 'given-up' }) });

/** What was sent to a destination, and what became of it. */
@ApiTags('destinations')
@Controller('api/v1/destinations/:id/deliveries')
export class DeliveriesController {
  constructor(
    private readonly destinations: DestinationsStore,
    private readonly deliveries: DeliveriesStore,
  ) {}

  @Get()
  @RequirePermission('destinations:read')
  @Operation({
    id: 'listDeliveries', summary: 'What was sent to a destination, newest first',
    description: 'What a PACS does not take for the moment is tried for three days, ever more seldom; what it refuses for good is given up at once.',
    answers: { 200: { description: 'A page', schema: deliveryPage, example: { items: [deliveryExample], nextCursor: null } } }, problems: ['invalid-query', 'destination-not-found'],
  })
  async list(@CurrentPrincipal() { institutionId }: Principal, @Param('id', { schema: z.uuid() }) id: string, @Query({ schema: listQuery }) query: z.infer<typeof listQuery>, @Req() request: FastifyRequest): Promise<Page<DeliveryJson>> {
    if (!(await this.destinations.find(institutionId, id))) throw new AppError('destination-not-found');
    const deliveries = await this.deliveries.list(institutionId, id, query);
    noteForAudit(request, { studyInstanceUids: deliveries.slice(0, query.limit).map(({ studyInstanceUid }) => studyInstanceUid) });
    return pageOf(deliveries, query.limit, deliveryJson);
  }

  @Post(':deliveryId/redeliver')
  @RequirePermission('destinations:write')
  @Operation({
    id: 'redeliver', summary: 'Send once more', description: 'At once, whatever became of it before.',
    answers: { 202: { description: 'It will be sent', schema: deliverySchema, example: { ...deliveryExample, attempts: 0, failure: null } } }, problems: ['delivery-not-found'],
  })
  async redeliver(@CurrentPrincipal() { institutionId }: Principal, @Param('id', { schema: z.uuid() }) id: string, @Param('deliveryId', { schema: z.uuid() }) deliveryId: string, @Req() request: FastifyRequest): Promise<DeliveryJson> {
    const delivery = await this.deliveries.restart(institutionId, id, deliveryId);
    if (!delivery) throw new AppError('delivery-not-found');
    noteForAudit(request, { studyInstanceUids: [delivery.studyInstanceUid] });
    return deliveryJson(delivery);
  }
}
