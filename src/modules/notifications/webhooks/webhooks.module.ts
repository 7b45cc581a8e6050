import { Module } from '@nestjs/common';
import { WebhookDeliveriesController } from './webhook-deliveries.controller.js';
import { WebhooksController } from './webhooks.controller.js';
import { WebhooksCoreModule } from './webhooks-core.module.js';

/** HTTP. */
@Module({ imports: [WebhooksCoreModule], controllers: [WebhooksController, WebhookDeliveriesController] })
export class WebhooksModule {}
