import { z } from 'zod';
import { CommandError } from '../failure.js';
import type { Caller } from './caller.js';
import { Skipped, StepFailure } from './checklist.js';
import type { Leavings } from './leavings.js';
import { openListener, signatureFault, type WebhookListener } from './webhook-listener.js';

const createdSchema = z.object({ id: z.uuid(), secret: z.string() });
const deliverySchema = z.object({ id: z.uuid(), attempts: z.number(), failure: z.string().nullable(), lastStatus: z.number().nullable(), deliveredAt: z.string().nullable() });
const messageSchema = z.object({ type: z.string(), data: z.looseObject({ webhookId: z.string().optional() }) });

const AGAIN_MS = 300;

export interface LoopOptions {
  /** `host:port`. */
  listen: string | undefined;
  timeoutMs: number;
  wait: (ms: number) => Promise<void>;
}

/**
 * Makes a webhook that leads here, has the installation send it a test event, and verifies what comes. The webhook is not enabled, so that nothing of
 * other studies is ever sent to it.
 *
 * @throws Skipped where the installation may not send to this machine, or nobody said how it gets here
 */
export async function tryWebhook(caller: Caller, leavings: Leavings, options: LoopOptions): Promise<string> {
  const listener = await openListener(caller.base, options.listen);
  try {
    leavings.expectWebhook();
    const { id, secret } = await caller.post('/api/v1/webhooks', createdSchema, 'webhooks:write', { url: listener.url, events: ['study.completed'], enabled: false, description: leavings.description }).catch((error: unknown) => {
      if (error instanceof CommandError && error.code === 'url-not-allowed') throw new Skipped(`The installation may not send to ${new URL(listener.url).host}: name it in ALLOWED_PRIVATE_HOSTS to have the loop tried.`);
      throw error;
    });
    leavings.addWebhook(id);
    const delivery = await caller.post(`/api/v1/webhooks/${id}/test`, deliverySchema, 'webhooks:write', {});
    const started = performance.now();
    const message = await heard(caller, listener, id, delivery.id, options);
    const fault = signatureFault(message, secret);
    if (fault !== undefined) throw new StepFailure('signature-wrong', `The message ${fault}.`, 'Does a proxy change bodies or headers on the way? Are all clocks set by NTP?');
    return `signed test event at ${new URL(listener.url).host} after ${((performance.now() - started) / 1000).toFixed(1)} s`;
  } finally {
    await listener.close();
  }
}

async function heard(caller: Caller, listener: WebhookListener, webhookId: string, deliveryId: string, { timeoutMs, wait }: LoopOptions): Promise<WebhookListener['heard'][number]> {
  for (const until = performance.now() + timeoutMs; ;) {
    const message = listener.heard.find(({ body }) => isOurs(body, webhookId));
    if (message) return message;
    const delivery = await caller.json(`/api/v1/webhooks/${webhookId}/deliveries/${deliveryId}`, deliverySchema, { scope: 'webhooks:read' });
    if (delivery.failure !== null) throw notArrived(listener, delivery.failure, delivery.lastStatus);
    if (performance.now() > until) {
      if (delivery.attempts === 0) throw new StepFailure('no-worker', `Nobody has sent the test event within ${String(timeoutMs / 1000)} s.`, 'Is a process with APP_ROLE=worker (or all) running that consumes the queue deliver-webhooks? See GET /ready of it, and its log.');
      throw notArrived(listener, 'timeout', null);
    }
    await wait(AGAIN_MS);
  }
}

function notArrived({ url, isNamed }: WebhookListener, failure: string, status: number | null): Error {
  const { host } = new URL(url);
  if (failure === 'not-allowed') return new Skipped(`The installation may not send to ${host}: name it in ALLOWED_PRIVATE_HOSTS to have the loop tried.`);
  if (!isNamed && failure !== 'refused') return new Skipped(`The installation cannot reach ${host}, which is this machine as seen from here: name an address that it reaches with --webhook-listen.`);
  return new StepFailure('webhook-undelivered', `The test event did not arrive at ${host}: ${failure}${status === null ? '' : ` (${String(status)})`}.`, 'Can the workers reach this address? Network policies, firewalls and proxies stand between.');
}

function isOurs(body: string, webhookId: string): boolean {
  try {
    const message = messageSchema.safeParse(JSON.parse(body));
    return message.success && message.data.data.webhookId === webhookId;
  } catch {
    return false;
  }
}
