import { setTimeout as wait } from 'node:timers/promises';
import { WEBHOOK_DUE } from '../../../src/modules/notifications/webhooks/webhook.js';
import { BLOB_REFERENCES } from '../../../src/platform/storage/orphans.store.js';
import type { ChaosHouse } from './house.js';
import type { Client, Sent } from './load.js';
import type { ChaosReceivers } from './receivers.js';

/** Of every study that is analysed, in this order. */
export const TOLD = ['study.completed', 'analysis.succeeded', 'result.ready'];
const LOOK_MS = 2_000;
const BLOB_KEY = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\//;

/** What must be empty. */
export type Judgement = Readonly<Record<string, readonly string[]>>;

/**
 * Waits until nothing is under way any more, as long as the number of what is falls at least once in a while; retries that the back-off
 * would have wait for hours are due at once.
 */
export async function untilQuiet(house: ChaosHouse, webhookId: string, patienceMs: number): Promise<void> {
  let [least, fellAt] = [Infinity, Date.now()];
  for (;;) {
    await house.sql(`UPDATE analysis_runs SET not_before = NULL WHERE status = 'queued' AND not_before > now()`);
    await house.sql(`UPDATE webhook_deliveries SET next_at = now() WHERE state = 'waiting' AND next_at > now() AND webhook_id = $1`, [webhookId]);
    const underWay = Object.values(await countsOf(house, webhookId)).reduce((sum, count) => sum + count, 0);
    if (underWay === 0) return;
    if (underWay < least) [least, fellAt] = [underWay, Date.now()];
    if (Date.now() - fellAt > patienceMs) return;
    await wait(LOOK_MS);
  }
}

/** Those who never answer well are sent to for days: that is not waited for. */
async function countsOf(house: ChaosHouse, webhookId: string): Promise<Record<string, number>> {
  const [row] = await house.sql<Record<string, number>>(`
    SELECT (SELECT count(*)::int FROM studies WHERE state <> 'complete') AS studies,
      (SELECT count(*)::int FROM analysis_runs WHERE status IN ('queued', 'running')) AS runs,
      (SELECT count(*)::int FROM studies s WHERE NOT EXISTS (SELECT FROM analysis_runs r WHERE r.study_id = s.id)) AS unplanned,
      (SELECT count(*)::int FROM webhook_deliveries WHERE state = 'waiting' AND webhook_id = $1) AS deliveries,
      (SELECT count(*)::int FROM outbox WHERE (dispatched_at IS NULL OR pending <> '{}') AND NOT (topic = $2 AND payload ->> 'webhookId' <> $1::text)) AS events`, [webhookId, WEBHOOK_DUE]);
  return row ?? {};
}

/** @param webhookId  of the receiver whose messages count */
export async function judge(house: ChaosHouse, client: Client, receivers: ChaosReceivers, webhookId: string, { acknowledged }: Sent): Promise<Judgement> {
  const rows = await house.sql<{ study: string; state: string; runs: string[]; results: number }>(`
    SELECT s.study_instance_uid AS study, s.state, ARRAY(SELECT concat_ws(' ', r.status, r.reason_code) FROM analysis_runs r WHERE r.study_id = s.id AND r.purpose = 'clinical') AS runs,
      (SELECT count(*)::int FROM results f WHERE f.study_id = s.id) AS results
    FROM studies s`);
  const byStudy = new Map(rows.map((row) => [row.study, row]));
  const known = new Set(acknowledged);
  const stored = rows.filter(({ study }) => known.has(study));
  const { items: queues } = await client.json<{ items: { name: string; counts: Record<string, number> }[] }>('/api/v1/queues');
  const verification = await client.json<{ intact: boolean; broken: unknown }>('/api/v1/audit-events/verification');
  const left = await countsOf(house, webhookId);
  return {
    'acknowledged, but not there': acknowledged.filter((study) => !byStudy.has(study)),
    'not exactly one result': stored.filter(({ results }) => results !== 1).map(({ study, results, runs }) => `${study}: ${String(results)} results, runs ${runs.join(', ')}`),
    'not exactly one run that succeeded': stored.filter(({ runs }) => runs.join() !== 'succeeded').map(({ study, state, runs }) => `${study} (${state}): ${runs.join(', ')}`),
    'still under way': Object.entries(left).filter(([, count]) => count > 0).map(([what, count]) => `${what}: ${String(count)}`),
    'jobs given up': queues.filter(({ counts }) => (counts.failed ?? 0) > 0).map(({ name, counts }) => `${name}: ${String(counts.failed)}`),
    ...(await messagesOf(house, receivers, webhookId, acknowledged)),
    'audit trail not intact': verification.intact ? [] : [JSON.stringify(verification.broken)],
    'blobs that no row names': await orphansOf(house),
    'rows whose blob is missing': await missingOf(house),
  };
}

/** Of the messages that the receiver took. */
async function messagesOf(house: ChaosHouse, { taken }: ChaosReceivers, webhookId: string, acknowledged: readonly string[]): Promise<Judgement> {
  const deliveries = await house.sql<{ id: string; study: string; topic: string; position: string; state: string; told: string }>(`
    SELECT id, study_instance_uid AS study, topic, position, state,
      concat_ws(' ', state, attempts, 'tries, next', next_at - now(), 'claimed until', claimed_until - now(), failure) AS told
    FROM webhook_deliveries WHERE webhook_id = $1`, [webhookId]);
  const byId = new Map(deliveries.map((delivery) => [delivery.id, delivery]));
  const firsts = new Map<string, bigint[]>();
  const told = new Map<string, string[]>();
  const seen = new Set<string>();
  for (const { headers } of taken) {
    const delivery = byId.get(headers['webhook-id'] ?? '');
    if (!delivery || seen.has(delivery.id)) continue;
    seen.add(delivery.id);
    firsts.set(delivery.study, [...(firsts.get(delivery.study) ?? []), BigInt(delivery.position)]);
    told.set(delivery.study, [...(told.get(delivery.study) ?? []), delivery.topic]);
  }
  return {
    'events that were not told': acknowledged.flatMap((study) => TOLD.filter((topic) => told.get(study)?.includes(topic) !== true).map((topic) => `${study}: ${topic}`)),
    'events that were told twice as different ones': acknowledged.filter((study) => new Set(told.get(study)).size !== told.get(study)?.length).map((study) => `${study}: ${told.get(study)?.join(', ') ?? ''}`),
    'events out of order': [...firsts].filter(([, positions]) => positions.some((position, at) => at > 0 && position < (positions[at - 1] ?? 0n))).map(([study, positions]) => `${study}: ${positions.join(', ')}`),
    'deliveries that were given up': deliveries.filter(({ state }) => state !== 'delivered').map(({ study, topic, told: state }) => `${study}: ${topic} ${state}`),
  };
}

const named = (references = BLOB_REFERENCES): string => references.map(({ table, keys }) => `SELECT ${keys.sql} AS key FROM ${table}`).join(' UNION ALL ');

async function orphansOf(house: ChaosHouse): Promise<string[]> {
  const blobs = (await house.blobs()).filter((key) => BLOB_KEY.test(key));
  const rows = await house.sql<{ key: string }>(named());
  const known = new Set(rows.map(({ key }) => key));
  return blobs.filter((key) => !known.has(key));
}

async function missingOf(house: ChaosHouse): Promise<string[]> {
  const there = new Set(await house.blobs());
  const rows = await house.sql<{ key: string }>(named(BLOB_REFERENCES.filter(({ table }) => table !== 'blob_tombstones')));
  return rows.map(({ key }) => key).filter((key) => !there.has(key));
}
