import { Module } from '@nestjs/common';
import { WebhookDeliveriesStore } from './webhook-deliveries.store.js';
import { WebhookSecrets } from './webhook-secrets.service.js';
import { WebhooksStore } from './webhooks.store.js';
import { WebhookDetails } from './webhook-details.service.js';
import { ImagesCoreModule } from '../../images/images-core.module.js';
import { ResultsCoreModule } from '../../results/results-core.module.js';

/** What both roles need of webhooks. */
@Module({ imports: [ImagesCoreModule, ResultsCoreModule], providers: [WebhooksStore, WebhookDeliveriesStore, WebhookSecrets, WebhookDetails], exports: [WebhooksStore, WebhookDeliveriesStore, WebhookSecrets, WebhookDetails] })
export class WebhooksCoreModule {}
