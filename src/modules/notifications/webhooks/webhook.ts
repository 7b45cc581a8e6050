import { ANALYSIS_FAILED, ANALYSIS_NOT_ANALYSABLE, ANALYSIS_SUCCEEDED, RESULT_CRITICAL, RESULT_READY } from '../../analysis/analysis.contract.js';
import { STUDY_COMPLETED } from '../../images/images.contract.js';
import { RESULT_REVIEWED } from '../../results/results.contract.js';

/** What an endpoint may be told of: topics of the outbox, which are the types of the messages. */
export const WEBHOOK_EVENTS = [STUDY_COMPLETED, ANALYSIS_SUCCEEDED, ANALYSIS_NOT_ANALYSABLE, ANALYSIS_FAILED, RESULT_READY, RESULT_CRITICAL, RESULT_REVIEWED] as const;
export type WebhookEvent = (typeof WEBHOOK_EVENTS)[number];

/** Type of what is sent on request, to try an endpoint. */
export const TEST_EVENT = 'webhook.test';

/** Outbox topic: something may be sent to an endpoint now. */
export const WEBHOOK_DUE = 'webhook.due';
/** Payload of `webhook.due`. */
export type WebhookDue = { institutionId: string; webhookId: string };

/** Outbox topic: an endpoint was disabled by the product. */
export const WEBHOOK_DISABLED = 'webhook.disabled';
/** Payload of `webhook.disabled`. */
export type WebhookDisabled = { institutionId: string; webhookId: string; reason: DisabledReason };

/** Outbox topic: an administrator is to get an e-mail about that. */
export const WEBHOOK_DISABLED_MAIL = 'webhook.disabled-mail';
/** Payload of `webhook.disabled-mail`. */
export type WebhookDisabledMail = WebhookDisabled & { userId: string };

/** `gone`: it answered 410. `failing`: nothing has reached it for as long as one event is tried. */
export const DISABLED_REASONS = ['gone', 'failing'] as const;
export type DisabledReason = (typeof DISABLED_REASONS)[number];

/** An endpoint of somebody else's that is told of events. */
export interface Webhook {
  id: string;
  institutionId: string;
  url: string;
  description: string;
  events: readonly WebhookEvent[];
  enabled: boolean;
  /** null while it is enabled, and when a person disabled it. */
  disabledReason: DisabledReason | null;
  disabledAt: Date | null;
  /** Messages are signed with Ed25519, too. */
  ed25519: boolean;
  /** Bodies name the patient and say what was found. */
  includePhi: boolean;
  /** Deliveries at a time. */
  concurrency: number;
  /** Opens with the institution's key only. */
  sealedSecrets: Uint8Array;
  /** `whpk_…` */
  publicKey: string;
  createdAt: Date;
  updatedAt: Date;
}

export type WebhookDraft = Pick<Webhook, 'url' | 'description' | 'events' | 'enabled' | 'ed25519' | 'includePhi' | 'concurrency' | 'sealedSecrets' | 'publicKey'>;

export const DELIVERY_STATES = ['waiting', 'delivered', 'given-up', 'erased'] as const;
export type DeliveryState = (typeof DELIVERY_STATES)[number];

/** Why a try failed. */
export const DELIVERY_FAILURES = ['refused', 'gone', 'timeout', 'unreachable', 'not-allowed'] as const;
export type DeliveryFailure = (typeof DELIVERY_FAILURES)[number];

/** One event on its way to one endpoint. */
export interface WebhookDelivery {
  /** The `webhook-id` of every try. */
  id: string;
  institutionId: string;
  webhookId: string;
  /** Of the outbox. */
  eventId: string;
  topic: string;
  studyInstanceUid: string | null;
  resultId: string | null;
  /** The order in which those of one study are sent. */
  position: bigint;
  /** Ids only. */
  data: EventData;
  occurredAt: Date;
  state: DeliveryState;
  /** Tries since it was planned or asked for again. */
  attempts: number;
  /** Claims ever: who ends a try says which one it was. */
  claims: number;
  nextAt: Date;
  firstTriedAt: Date | null;
  lastTriedAt: Date | null;
  lastStatus: number | null;
  lastDurationMs: number | null;
  failure: DeliveryFailure | null;
  /** How the answer began. */
  answer: string | null;
  createdAt: Date;
  deliveredAt: Date | null;
  /** The span that the event happened in. */
  traceparent: string | null;
}

/** The payload of an event. */
export type EventData = Readonly<Record<string, string | number | boolean | null>>;
