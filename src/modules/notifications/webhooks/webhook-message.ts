import type { EventData, WebhookDelivery } from './webhook.js';

/** What a message says beside ids and links where the institution wants that. Holds PHI. */
export interface MessageDetails {
  patient: { id: string | null; name: string | null; birthDate: string | null; sex: string | null };
  study: { accessionNumber: string | null; description: string | null; date: string | null };
  /** Of the result, in English; null when there is none, or it is withheld. */
  summary: string | null;
}

/** The body of a message. @see Standard Webhooks, "Payload structure" */
export interface WebhookMessage {
  type: string;
  /** When it happened, not when it is sent. */
  timestamp: string;
  data: Readonly<Record<string, unknown>> & { links: Readonly<Record<string, string>> };
}

/** Members of an event's payload that are for others; what else is in there stays with us. */
const TOLD = ['institutionId', 'studyInstanceUid', 'analysis', 'analysisId', 'resultId', 'revision', 'version', 'kind', 'status', 'webhookId'] as const;

/**
 * The same for every try, but for details that can be read no more.
 *
 * @param publicUrl  of this installation; without it links are paths
 */
export function messageOf({ topic, occurredAt, data }: Pick<WebhookDelivery, 'topic' | 'occurredAt' | 'data'>, publicUrl: string | undefined, details?: MessageDetails): WebhookMessage {
  const told = Object.fromEntries(TOLD.flatMap((name) => (data[name] === undefined ? [] : [[name, data[name]]])));
  return { type: topic, timestamp: occurredAt.toISOString(), data: { ...told, links: linksOf(data, publicUrl ?? ''), ...details } };
}

function linksOf({ studyInstanceUid, analysisId, resultId }: EventData, base: string): Record<string, string> {
  const link = (name: string, path: string, id: string | number | boolean | null | undefined): [string, string][] => (typeof id === 'string' ? [[name, `${base}/api/v1/${path}/${encodeURIComponent(id)}`]] : []);
  return Object.fromEntries([...link('study', 'studies', studyInstanceUid), ...link('analysis', 'analyses', analysisId), ...link('result', 'results', resultId)]);
}
