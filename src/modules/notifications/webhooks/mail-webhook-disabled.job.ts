import { Injectable } from '@nestjs/common';
import { Mailer } from '../../../platform/mail/mailer.js';
import { Metrics } from '../../../platform/ops/metrics.js';
import { JobHandler } from '../../../platform/queue/job.js';
import { People } from '../../users/users.contract.js';
import { administratorsOf } from './administrators.js';
import { disabledMail } from './disabled-mail.js';
import type { WebhookDisabledMail } from './webhook.js';
import { WebhooksStore } from './webhooks.store.js';

/** Tells one administrator that a webhook was disabled, unless somebody has seen to it meanwhile. */
@Injectable()
export class MailWebhookDisabledJob extends JobHandler<WebhookDisabledMail> {
  constructor(
    private readonly webhooks: WebhooksStore,
    private readonly people: People,
    private readonly mailer: Mailer,
    private readonly metrics: Metrics,
  ) {
    super();
  }

  async handle({ institutionId, webhookId, userId, reason }: WebhookDisabledMail): Promise<void> {
    const [webhook, administrators] = await Promise.all([this.webhooks.find(institutionId, webhookId), administratorsOf(this.people, institutionId)]);
    const administrator = administrators.find(({ id }) => id === userId);
    if (!administrator || webhook?.disabledReason !== reason) return;
    try {
      await this.mailer.send({ to: { name: administrator.displayName, address: administrator.email }, ...disabledMail(administrator.displayName, webhook, reason) });
      this.metrics.mails.inc({ kind: 'webhook-disabled', outcome: 'sent' });
    } catch (error) {
      this.metrics.mails.inc({ kind: 'webhook-disabled', outcome: 'failed' });
      throw error;
    }
  }
}
