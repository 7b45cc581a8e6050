import { Inject, Injectable } from '@nestjs/common';
import { AppError } from '../../../kernel/errors.js';
import { CONFIG, type Config } from '../../../platform/config.js';
import { AllowedHosts } from '../../../platform/http/public-address.js';
import { safeFetch } from '../../../platform/http/safe-fetch.js';
import { currentTraceparent, noteOnSpan, SpanKind, withSpan } from '../../../platform/ops/tracing.js';
import { excerptOf } from './answer-excerpt.js';
import { retryAfterMs } from './retry-schedule.js';
import { signaturesOf } from './signatures.js';
import type { DeliveryFailure, Webhook, WebhookDelivery } from './webhook.js';
import type { Try } from './webhook-claims.store.js';
import { messageOf, type MessageDetails } from './webhook-message.js';
import { WebhookSecrets } from './webhook-secrets.service.js';

/** An answer is read to its end, within this. */
const MOST_BYTES = 256 * 1024;

/** What an endpoint answered, and how long it wants to be left alone. */
export interface Answer extends Try {
  retryAfterMs: number;
}

/** Signs messages and sends them. */
@Injectable()
export class WebhookSender {
  /** From the look-up of the name to the last byte of the answer. For tests, which have less time. */
  timeoutMs = 15_000;
  private readonly allowed: AllowedHosts;

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly secrets: WebhookSecrets,
  ) {
    this.allowed = new AllowedHosts(config.ALLOWED_PRIVATE_HOSTS);
  }

  /** @param details  what the message says beside ids and links; then nothing of the answer is kept, which may say it again */
  send(webhook: Webhook, delivery: WebhookDelivery, details: MessageDetails | undefined): Promise<Answer> {
    return withSpan('deliver webhook', spanAttributes(webhook, delivery), async () => {
      const answer = await this.post(webhook, delivery, details);
      noteOnSpan(answer.status === null ? {} : { 'http.response.status_code': answer.status }, answer.failure ?? undefined);
      return answer;
    }, SpanKind.CLIENT);
  }

  private async post(webhook: Webhook, delivery: WebhookDelivery, details: MessageDetails | undefined): Promise<Answer> {
    const body = JSON.stringify(messageOf(delivery, this.config.PUBLIC_URL, details));
    const secrets = await this.secrets.signing(webhook);
    const startedMs = performance.now();
    // Of the try: receivers refuse what seems to be minutes old.
    const timestamp = Math.floor(Date.now() / 1000);
    const traceparent = currentTraceparent();
    const headers = {
      'content-type': 'application/json', 'webhook-id': delivery.id, 'webhook-timestamp': String(timestamp),
      'webhook-signature': signaturesOf({ id: delivery.id, timestamp, body }, secrets, webhook.ed25519),
      ...(traceparent !== undefined && { traceparent }),
    };
    try {
      const response = await safeFetch(webhook.url, { method: 'POST', body, headers, allowed: this.allowed, timeoutMs: this.timeoutMs, maxBytes: MOST_BYTES });
      const answer = new Uint8Array(await response.arrayBuffer());
      return {
        status: response.status, durationMs: Math.round(performance.now() - startedMs), failure: failureOf(response.status), answer: details || webhook.includePhi ? null : excerptOf(answer),
        retryAfterMs: retryAfterMs(response.headers.get('retry-after')),
      };
    } catch (error) {
      return { status: null, durationMs: Math.round(performance.now() - startedMs), failure: troubleOf(error), answer: null, retryAfterMs: 0 };
    }
  }
}

/** Of the address the host alone: what stands behind it may be a secret. */
function spanAttributes({ id, url }: Webhook, { id: deliveryId, topic, attempts }: WebhookDelivery): Record<string, string | number> {
  return {
    'http.request.method': 'POST', 'server.address': URL.canParse(url) ? new URL(url).hostname : 'unknown', 'healthvision.webhook.id': id, 'healthvision.delivery.id': deliveryId, 'healthvision.topic': topic,
    'healthvision.attempt': attempts,
  };
}

function failureOf(status: number): DeliveryFailure | null {
  if (status >= 200 && status < 300) return null;
  return status === 410 ? 'gone' : 'refused';
}

function troubleOf(error: unknown): DeliveryFailure {
  if (error instanceof AppError && error.code === 'url-not-allowed') return 'not-allowed';
  for (let current = error, depth = 0; current instanceof Error && depth < 6; current = current.cause, depth++) if (current.name.includes('Timeout')) return 'timeout';
  return 'unreachable';
}
