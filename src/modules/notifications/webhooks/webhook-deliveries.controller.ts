import { Body, Controller, Get, Inject, Param, Post, Query, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { AppError } from '../../../kernel/errors.js';
import { noteForAudit } from '../../../platform/audit/audit-note.js';
import { CONFIG, type Config } from '../../../platform/config.js';
import { Database } from '../../../platform/database/database.js';
import { CurrentPrincipal, RequirePermission, type Principal } from '../../../platform/http/access.js';
import { Idempotent } from '../../../platform/http/idempotency.interceptor.js';
import { Operation } from '../../../platform/http/openapi.js';
import { pageOf, pageQuery, type Page } from '../../../platform/http/page.js';
import { DELIVERY_STATES, TEST_EVENT, WEBHOOK_EVENTS, type Webhook, type WebhookDelivery } from './webhook.js';
import { WebhookDeliveriesStore } from './webhook-deliveries.store.js';
import { WebhookDetails } from './webhook-details.service.js';
import { messageOf, type MessageDetails } from './webhook-message.js';
import { redeliverRange, webhookDeliveryExample, webhookDeliveryJson, webhookDeliveryPage, webhookDeliverySchema, webhookExample, type WebhookDeliveryJson } from './webhooks-json.js';
import { WebhooksStore } from './webhooks.store.js';

const MOST_AT_ONCE = 10_000;

const listQuery = z.strictObject({
  ...pageQuery.shape,
  state: z.enum(DELIVERY_STATES).optional().meta({ description: 'Only in this state', example: 'given-up' }),
  event: z.enum([...WEBHOOK_EVENTS, TEST_EVENT]).optional().meta({ description: 'Only of this type', example: 'result.critical' }),
});

const counted = z.object({ deliveries: z.number().int() }).meta({ id: 'RedeliveredRange' });
const testExample: WebhookDeliveryJson = {
  ...webhookDeliveryExample, event: TEST_EVENT, studyInstanceUid: null, attempts: 0, lastTriedAt: null, lastStatus: null, lastDurationMs: null, failure: null, answer: null,
  body: { type: TEST_EVENT, timestamp: '2026-11-21T10:00:00.120Z', data: { webhookId: webhookExample.id, links: {} } },
};

/** What an endpoint was told, and what became of it. */
@ApiTags('webhooks')
@Controller('api/v1/webhooks/:id')
export class WebhookDeliveriesController {
  constructor(
    private readonly webhooks: WebhooksStore,
    private readonly deliveries: WebhookDeliveriesStore,
    private readonly details: WebhookDetails,
    private readonly database: Database,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  @Get('deliveries')
  @RequirePermission('webhooks:read')
  @Operation({
    id: 'listWebhookDeliveries', summary: 'What an endpoint was told, newest event first', description: 'Kept for 30 days. Bodies are without what `includePhi` adds.',
    answers: { 200: { description: 'A page', schema: webhookDeliveryPage, example: { items: [webhookDeliveryExample], nextCursor: null } } }, problems: ['invalid-query', 'webhook-not-found'],
  })
  async list(@CurrentPrincipal() { institutionId }: Principal, @Param('id', { schema: z.uuid() }) id: string, @Query({ schema: listQuery }) query: z.infer<typeof listQuery>, @Req() request: FastifyRequest): Promise<Page<WebhookDeliveryJson>> {
    await this.webhook(institutionId, id);
    const deliveries = await this.deliveries.list(institutionId, id, query);
    noteForAudit(request, { studyInstanceUids: deliveries.slice(0, query.limit).flatMap(({ studyInstanceUid }) => studyInstanceUid ?? []) });
    return pageOf(deliveries, query.limit, (delivery) => this.json(delivery));
  }

  @Get('deliveries/:deliveryId')
  @RequirePermission('webhooks:read')
  @Operation({
    id: 'getWebhookDelivery', summary: 'One delivery', description: 'Whoever holds `patients:read` and `results:read` sees what `includePhi` adds to the body, as it would be sent now.',
    answers: { 200: { description: 'The delivery', schema: webhookDeliverySchema, example: webhookDeliveryExample } }, problems: ['webhook-not-found', 'delivery-not-found'],
  })
  async get(@CurrentPrincipal() { institutionId, permissions }: Principal, @Param('id', { schema: z.uuid() }) id: string, @Param('deliveryId', { schema: z.uuid() }) deliveryId: string, @Req() request: FastifyRequest): Promise<WebhookDeliveryJson> {
    const webhook = await this.webhook(institutionId, id);
    const delivery = await this.deliveries.find(institutionId, id, deliveryId);
    if (!delivery) throw new AppError('delivery-not-found');
    note(request, delivery);
    const seesPatients = webhook.includePhi && permissions.has('patients:read') && permissions.has('results:read');
    return this.json(delivery, seesPatients ? await this.details.of(delivery) : undefined);
  }

  @Post('deliveries/:deliveryId/redeliver')
  @RequirePermission('webhooks:write')
  @Operation({
    id: 'redeliverWebhookDelivery', summary: 'Send an event once more', description: 'With its id, whatever became of it before; at once, but for earlier events of the study that wait. To an endpoint that is not enabled it goes once it is.',
    answers: { 202: { description: 'It will be sent', schema: webhookDeliverySchema, example: { ...webhookDeliveryExample, attempts: 0, lastStatus: null, lastDurationMs: null, failure: null, answer: null } } }, problems: ['webhook-not-found', 'delivery-not-found'],
  })
  async redeliver(@CurrentPrincipal() { institutionId }: Principal, @Param('id', { schema: z.uuid() }) id: string, @Param('deliveryId', { schema: z.uuid() }) deliveryId: string, @Req() request: FastifyRequest): Promise<WebhookDeliveryJson> {
    await this.webhook(institutionId, id);
    const delivery = await this.deliveries.restart(institutionId, id, deliveryId);
    if (!delivery) throw new AppError('delivery-not-found');
    note(request, delivery);
    return this.json(delivery);
  }

  @Post('redeliver')
  @RequirePermission('webhooks:write')
  @Operation({
    id: 'redeliverWebhookEvents', summary: 'Send the events of a time once more', description: `Those that were delivered or given up, those of one study in order; what waits is sent anyway. At most ${String(MOST_AT_ONCE)} at once.`,
    answers: { 202: { description: 'How many will be sent', schema: counted, example: { deliveries: 212 } } }, problems: ['invalid-body', 'webhook-not-found', 'unprocessable'],
  })
  async redeliverRange(@CurrentPrincipal() { institutionId }: Principal, @Param('id', { schema: z.uuid() }) id: string, @Body({ schema: redeliverRange }) range: z.output<typeof redeliverRange>, @Req() request: FastifyRequest): Promise<z.infer<typeof counted>> {
    await this.webhook(institutionId, id);
    const deliveries = await this.database.transaction({ institutionId }, (tx) => this.deliveries.restartRange(tx, institutionId, id, range, MOST_AT_ONCE));
    if (deliveries === undefined) throw new AppError('unprocessable', { detail: `There are more than ${String(MOST_AT_ONCE)} events in this time: ask for less of it at once.` });
    noteForAudit(request, { details: { from: range.from.toISOString(), to: range.to.toISOString(), deliveries } });
    return { deliveries };
  }

  @Post('test')
  @RequirePermission('webhooks:write')
  @Idempotent()
  @Operation({
    id: 'testWebhook', summary: 'Send a test event', description: `Of type \`${TEST_EVENT}\`, signed as all are. It is tried once, also when the webhook is not enabled, and has no consequences for it. Look at the delivery to see what the endpoint answered.`,
    answers: { 202: { description: 'It will be sent', schema: webhookDeliverySchema, example: testExample, headers: { Location: 'Where the delivery is' } } }, problems: ['webhook-not-found', 'conflict', 'idempotency-key-reused'],
  })
  async test(@CurrentPrincipal() { institutionId }: Principal, @Param('id', { schema: z.uuid() }) id: string, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<WebhookDeliveryJson> {
    await this.webhook(institutionId, id);
    const delivery = await this.database.transaction({ institutionId }, (tx) => this.deliveries.addTest(tx, institutionId, id));
    note(request, delivery);
    void reply.header('Location', `/api/v1/webhooks/${id}/deliveries/${delivery.id}`);
    return this.json(delivery);
  }

  /** @throws AppError `webhook-not-found` */
  private async webhook(institutionId: string, id: string): Promise<Webhook> {
    const webhook = await this.webhooks.find(institutionId, id);
    if (!webhook) throw new AppError('webhook-not-found');
    return webhook;
  }

  private json(delivery: WebhookDelivery, details?: MessageDetails): WebhookDeliveryJson {
    return webhookDeliveryJson(delivery, messageOf(delivery, this.config.PUBLIC_URL, details));
  }
}

function note(request: FastifyRequest, { id, studyInstanceUid }: WebhookDelivery): void {
  noteForAudit(request, { object: id, studyInstanceUids: studyInstanceUid === null ? [] : [studyInstanceUid] });
}
