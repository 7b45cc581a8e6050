import { z } from 'zod';
import { pageSchema } from '../../../platform/http/page.js';
import { etagOf } from '../../../platform/http/representation.js';
import { DELIVERY_FAILURES, DELIVERY_STATES, DISABLED_REASONS, TEST_EVENT, WEBHOOK_EVENTS, type Webhook, type WebhookDelivery } from './webhook.js';
import type { WebhookMessage } from './webhook-message.js';

const MOST_OVERLAP_HOURS = 14 * 24;
const DEFAULT_OVERLAP_HOURS = 24;

const url = z.url({ protocol: /^https?$/ }).max(1_000).meta({ example: 'https://hooks.hospital.example/healthvision', description: 'Where messages are sent by POST: over TLS to a server on the Internet, or to one of ALLOWED_PRIVATE_HOSTS' });
const description = z.string().trim().max(200).regex(/^[^\u0000-\u001f\u007f-\u009f]*$/, 'must be one line of text').meta({ example: 'RIS of radiology', description: 'For people' });
const events = z.array(z.enum(WEBHOOK_EVENTS)).min(1).max(WEBHOOK_EVENTS.length).refine((given) => new Set(given).size === given.length, 'names an event twice').meta({ uniqueItems: true, description: 'What it is told of. One that is added begins with what happens from then on' });
const enabled = z.boolean().meta({ description: 'Nothing is sent to one that is not; what happens meanwhile is kept for 30 days, and sent once it is enabled again' });
const ed25519 = z.boolean().meta({ description: 'Sign with Ed25519 (`v1a`), too, so that the receiver needs no secret' });
const includePhi = z.boolean().meta({ description: 'Messages name the patient and say what was found. Needs `patients:read` and `results:read`; without it they hold ids and links only' });
const concurrency = z.number().int().min(1).max(16).meta({ description: 'Messages that are sent at the same time, of different studies', example: 4 });

export const createWebhook = z.strictObject({
  url, events, description: description.default(''), enabled: enabled.default(true), ed25519: ed25519.default(false), includePhi: includePhi.default(false), concurrency: concurrency.default(4),
}).meta({ id: 'CreateWebhook', example: { url: 'https://hooks.hospital.example/healthvision', events: ['result.ready', 'result.critical'] } });

export const updateWebhook = z.strictObject({ url, events, description, enabled, ed25519, includePhi, concurrency }).partial().refine((change) => Object.keys(change).length > 0, 'Nothing to change')
  .meta({ id: 'UpdateWebhook', example: { enabled: true } });

export const rotateSecret = z.strictObject({
  overlapHours: z.number().min(0).max(MOST_OVERLAP_HOURS).default(DEFAULT_OVERLAP_HOURS).meta({ description: 'How long earlier secrets sign, too; 0: they end at once', example: 24 }),
}).meta({ id: 'RotateWebhookSecret', example: { overlapHours: 24 } });

// PostgreSQL knows no year 0, and nothing happened before there were computers.
const instant = z.iso.datetime().transform((text) => new Date(text)).refine((time) => time.getUTCFullYear() >= 1970, 'must be after 1970');
export const redeliverRange = z.strictObject({
  from: instant.meta({ example: '2026-11-21T00:00:00Z', description: 'Events that happened at this time or later' }),
  to: instant.meta({ example: '2026-11-22T00:00:00Z', description: 'and before this one' }),
  events: events.optional().meta({ description: 'Only these types' }),
  state: z.enum(['delivered', 'given-up']).optional().meta({ description: 'Only those in this state' }),
}).refine(({ from, to }) => from < to, 'from must be before to').meta({ id: 'RedeliverRange', example: { from: '2026-11-21T00:00:00Z', to: '2026-11-22T00:00:00Z', state: 'given-up' } });

export const webhookSchema = z
  .object({
    id: z.uuid(), url: z.string(), description: z.string(), events: z.array(z.enum(WEBHOOK_EVENTS)), enabled: z.boolean(),
    disabledReason: z.enum(DISABLED_REASONS).nullable().meta({ description: 'Why the product disabled it: it answered 410, or nothing reached it for three days' }),
    disabledAt: z.iso.datetime().nullable(),
    ed25519: z.boolean(), publicKey: z.string().nullable().meta({ description: 'Of `v1a`; of the newest secret' }),
    includePhi: z.boolean(), concurrency: z.number().int(), createdAt: z.iso.datetime(), updatedAt: z.iso.datetime(),
  })
  .meta({ id: 'Webhook', description: 'An endpoint that is told of events' });

const secret = z.string().meta({ description: 'Shown this once: whoever has it can make messages that seem to be ours' });
export const createdWebhook = webhookSchema.extend({ secret }).meta({ id: 'CreatedWebhook' });
export const webhookPage = pageSchema(webhookSchema, 'WebhookPage');
export type WebhookJson = z.infer<typeof webhookSchema>;

const message = z
  .object({ type: z.string(), timestamp: z.iso.datetime(), data: z.looseObject({ links: z.record(z.string(), z.string()) }) })
  .meta({ id: 'WebhookMessage', description: 'What is sent. With `includePhi` it also has `data.patient`, `data.study` and `data.summary`' });

export const webhookDeliverySchema = z
  .object({
    id: z.uuid().meta({ description: 'Also the `webhook-id`, the same for every try' }), webhookId: z.uuid(), event: z.enum([...WEBHOOK_EVENTS, TEST_EVENT]), studyInstanceUid: z.string().nullable(),
    state: z.enum(DELIVERY_STATES).meta({ description: '`erased`: what it was about was erased; it is not sent' }),
    attempts: z.number().int().meta({ description: 'Tries since it was planned or asked for again' }),
    occurredAt: z.iso.datetime(), lastTriedAt: z.iso.datetime().nullable(), nextAttemptAt: z.iso.datetime().nullable().meta({ description: 'Not before; an earlier event of the study goes first' }), deliveredAt: z.iso.datetime().nullable(),
    lastStatus: z.number().int().nullable().meta({ description: 'HTTP status of the last answer' }), lastDurationMs: z.number().int().nullable(),
    failure: z.enum(DELIVERY_FAILURES).nullable().meta({ description: 'Why the last try failed' }),
    answer: z.string().nullable().meta({ description: 'How the last answer began; not kept where messages hold PHI' }),
    body: message.nullable().meta({ description: 'What is sent; null once what it was about was erased' }),
  })
  .meta({ id: 'WebhookDelivery', description: 'One event on its way to one endpoint' });

export const webhookDeliveryPage = pageSchema(webhookDeliverySchema, 'WebhookDeliveryPage');
export type WebhookDeliveryJson = z.infer<typeof webhookDeliverySchema>;

export function webhookJson({ id, url: to, description: text, events: told, enabled: on, disabledReason, disabledAt, ed25519: asymmetric, publicKey, includePhi: phi, concurrency: most, createdAt, updatedAt }: Webhook): WebhookJson {
  return {
    id, url: to, description: text, events: [...told], enabled: on, disabledReason, disabledAt: disabledAt?.toISOString() ?? null, ed25519: asymmetric, publicKey: asymmetric ? publicKey : null,
    includePhi: phi, concurrency: most, createdAt: createdAt.toISOString(), updatedAt: updatedAt.toISOString(),
  };
}

export function webhookETag({ id, updatedAt }: Webhook): string {
  return etagOf(id, updatedAt.getTime());
}

/** @param body  as it is sent */
export function webhookDeliveryJson(delivery: WebhookDelivery, body: WebhookMessage): WebhookDeliveryJson {
  const { id, webhookId, topic, studyInstanceUid, state, attempts, occurredAt, lastTriedAt, nextAt, deliveredAt, lastStatus, lastDurationMs, failure, answer } = delivery;
  return {
    id, webhookId, studyInstanceUid, state, attempts, lastStatus, lastDurationMs, failure, answer,
    // Only what an endpoint can be told of is planned.
    event: topic as WebhookDeliveryJson['event'],
    occurredAt: occurredAt.toISOString(), lastTriedAt: lastTriedAt?.toISOString() ?? null, nextAttemptAt: state === 'waiting' ? nextAt.toISOString() : null, deliveredAt: deliveredAt?.toISOString() ?? null,
    body: state === 'erased' ? null : body,
  };
}

export const webhookExample: WebhookJson = {
  id: '0198c0de-0000-7000-8000-00000000000e', url: 'https://hooks.hospital.example/healthvision', description: 'RIS of radiology', events: ['result.ready', 'result.critical'], enabled: true, disabledReason: null, disabledAt: null,
  ed25519: false, publicKey: null, includePhi: false, concurrency: 4, createdAt: '2026-11-21T10:00:00.000Z', updatedAt: '2026-11-21T10:00:00.000Z',
};

export const webhookDeliveryExample: WebhookDeliveryJson = {
  id: '0198c0de-4b00-7d2a-8c11-5e4f3a2b1c0f', webhookId: webhookExample.id, event: 'result.ready', studyInstanceUid: '2.25.314159265358979323846264338327950288', state: 'waiting', attempts: 1,
  occurredAt: '2026-11-21T10:00:00.120Z', lastTriedAt: '2026-11-21T10:00:00.200Z', nextAttemptAt: '2026-11-21T10:00:05.700Z', deliveredAt: null, lastStatus: 503, lastDurationMs: 31, failure: 'refused', answer: 'Service Unavailable',
  body: {
    type: 'result.ready', timestamp: '2026-11-21T10:00:00.120Z',
    data: {
      institutionId: '0198c0de-0000-7000-8000-000000000001', studyInstanceUid: '2.25.314159265358979323846264338327950288', analysis: 'chest-xray-classification', analysisId: '0198c0de-4a10-7b11-8a01-0c9d8e7f6a5b', resultId: '0198c0de-4a10-7c3e-9d52-6f0f1c2b3a49',
      links: { result: 'https://vision.hospital.example/api/v1/results/0198c0de-4a10-7c3e-9d52-6f0f1c2b3a49' },
    },
  },
};
