import { uuidv7 } from '../../../src/kernel/uid.js';
import { notificationsJobs } from '../../../src/modules/notifications/notifications.worker.js';
import { DeliverWebhooksJob } from '../../../src/modules/notifications/webhooks/deliver-webhooks.job.js';
import { WebhookSender } from '../../../src/modules/notifications/webhooks/webhook-sender.service.js';
import type { WebhookDeliveryJson, WebhookJson } from '../../../src/modules/notifications/webhooks/webhooks-json.js';
import { resultsJobs } from '../../../src/modules/results/results.worker.js';
import { Database } from '../../../src/platform/database/database.js';
import { HandBack } from '../../../src/platform/queue/job.js';
import { Outbox } from '../../../src/platform/queue/outbox.js';
import { eventually } from '../../support/product.js';
import { openHouse, type House } from '../results/house.js';

export type Created = WebhookJson & { secret: string };

/** The house, and what tests of webhooks do in it. */
export interface WebhookHouse extends House {
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Response>;
  make(url: string, more?: object): Promise<Created>;
  webhook(id: string): Promise<WebhookJson>;
  deliveries(id: string, query?: string): Promise<WebhookDeliveryJson[]>;
  /** Commits events of a study, each in a transaction of its own. */
  emit(studyInstanceUid: string, topics: readonly string[], institutionId?: string): Promise<void>;
  /** The deliveries, once none of them is being tried or was never tried. */
  tried(id: string, count: number): Promise<WebhookDeliveryJson[]>;
  /** As if the waits were over: several workers send what is due. */
  pump(id: string, workers?: number): Promise<void>;
}

/** What runs on a timer runs when a test says so. */
const WORKER_QUEUES = [...resultsJobs, ...notificationsJobs].map(({ queue }) => queue).filter((queue) => queue !== 'wake-webhooks' && queue !== 'webhook-upkeep').join(',');

/** @param variables  of the environment */
export async function openWebhookHouse(variables: Record<string, string> = {}): Promise<WebhookHouse> {
  const house = await openHouse({ variables: { ...variables, WORKER_QUEUES, ALLOWED_PRIVATE_HOSTS: '127.0.0.1', PUBLIC_URL: 'https://vision.hospital.test/' } });
  house.app.get(WebhookSender).timeoutMs = 1_000;
  const call = (method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Response> => house.fetch(`/api/v1/webhooks${path}`, {
    method, ...(body !== undefined && { body: JSON.stringify(body) }), headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
  });
  const json = async <T>(response: Response): Promise<T> => {
    const text = await response.text();
    if (!response.ok) throw new Error(text);
    // The caller names the shape that the contract promises.
    return JSON.parse(text) as T;
  };
  const deliveries = async (id: string, query = ''): Promise<WebhookDeliveryJson[]> => (await json<{ items: WebhookDeliveryJson[] }>(await call('GET', `/${id}/deliveries?limit=200${query}`))).items;
  return {
    ...house, call, deliveries,
    make: async (url, more = {}) => json<Created>(await call('POST', '', { url, events: ['analysis.succeeded', 'result.ready', 'result.critical', 'result.reviewed'], ...more })),
    webhook: async (id) => json<WebhookJson>(await call('GET', `/${id}`)),
    emit: async (studyInstanceUid, topics, institutionId = house.institutionId) => {
      const [analysisId, resultId] = [uuidv7(), uuidv7()];
      for (const topic of topics) {
        await house.app.get(Database).transaction({ institutionId }, (tx) => house.app.get(Outbox).append(tx, { institutionId, topic, payload: { institutionId, studyInstanceUid, analysisId, resultId, analysis: 'chest-xray-classification' } }));
      }
    },
    tried: (id, count) => eventually(`${String(count)} deliveries that were tried`, async () => {
      const all = await deliveries(id);
      return all.length === count && all.every(({ state, failure }) => state !== 'waiting' || failure !== null) && all;
    }),
    pump: async (id, workers = 3) => {
      await house.owner.$executeRaw`UPDATE webhook_deliveries SET next_at = now() WHERE webhook_id = ${id}::uuid AND state = 'waiting' AND claimed_until IS NULL`;
      const context = { jobId: '', topic: '', attempt: 1, signal: new AbortController().signal };
      await Promise.all(Array.from({ length: workers }, () => house.app.get(DeliverWebhooksJob).handle({ institutionId: house.institutionId, webhookId: id }, context).catch((error: unknown) => {
        if (!(error instanceof HandBack)) throw error;
      })));
    },
  };
}
