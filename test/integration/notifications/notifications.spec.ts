import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uuidv7 } from '../../../src/kernel/uid.js';
import { ANALYSIS_FAILED, RESULT_CRITICAL, RESULT_READY, type AnalysisEnded } from '../../../src/modules/analysis/analysis.contract.js';
import { FanOutJob } from '../../../src/modules/notifications/fan-out.job.js';
import { Database } from '../../../src/platform/database/database.js';
import { Outbox } from '../../../src/platform/queue/outbox.js';
import { ADMIN, eventually } from '../../support/product.js';
import { commitResult, conclusion, openHouse, uploadStudy, type House } from '../results/house.js';
import { signIn } from '../users/house.js';

let house: House;
beforeAll(async () => { house = await openHouse(); });
afterAll(async () => { await house.close(); });

interface NotificationJson {
  id: string;
  topic: string;
  critical: boolean;
  subject: { analysisId: string; resultId: string | null; studyInstanceUid: string; analysis: string };
  acknowledgedAt: string | null;
  acknowledgedBy: string | null;
}

async function list(query = ''): Promise<{ items: NotificationJson[]; nextCursor: string | null }> {
  // API.md, "notifications".
  return (await (await house.fetch(`/api/v1/notifications${query}`)).json()) as { items: NotificationJson[]; nextCursor: string | null };
}

const about = async (analysisId: string): Promise<NotificationJson[]> => (await list('?limit=200')).items.filter(({ subject }) => subject.analysisId === analysisId);

/** Tells of a failed run, as the analysis does. */
async function fail(institutionId = house.institutionId): Promise<string> {
  const analysisId = uuidv7();
  const payload = { institutionId, analysisId, studyInstanceUid: '2.25.1', analysis: 'chest-xray-classification', resultId: null } satisfies AnalysisEnded;
  await house.app.get(Database).transaction({ institutionId }, (tx) => house.app.get(Outbox).append(tx, { institutionId, topic: ANALYSIS_FAILED, payload }));
  return analysisId;
}

interface Seen {
  event?: string;
  id?: string;
  data?: unknown;
}

/** Reads a stream of server-sent events until it is closed. */
async function follow(lastEventId?: string): Promise<{ seen: Seen[]; following: Promise<void>; close: () => Promise<void> }> {
  const abort = new AbortController();
  const response = await house.fetch('/api/v1/events', { signal: abort.signal, headers: { accept: 'text/event-stream', ...(lastEventId !== undefined && { 'last-event-id': lastEventId }) } });
  expect(response.headers.get('content-type')).toContain('text/event-stream');
  const seen: Seen[] = [];
  let begin: () => void = () => undefined;
  const following = new Promise<void>((resolve) => { begin = resolve; });
  const reading = (async () => {
    let rest = '';
    for await (const chunk of (response.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())) {
      const blocks = `${rest}${chunk}`.split('\n\n');
      rest = blocks.pop() ?? '';
      for (const block of blocks) {
        if (block.includes(': following')) begin();
        const fields: Partial<Record<'event' | 'id' | 'data', string>> = Object.fromEntries(block.split('\n').filter((line) => /^[a-z]+: /.test(line)).map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]));
        if (fields.event !== undefined) seen.push({ event: fields.event, id: fields.id ?? '', data: JSON.parse(fields.data ?? 'null') });
      }
    }
  })().catch(() => undefined);
  return { seen, following, close: async () => { abort.abort(); await reading; } };
}

describe('fan-out', () => {
  it('makes one notification of each event that people should know of', async () => {
    const result = conclusion(house, await uploadStudy(house, 1));
    const resultId = await commitResult(house, result, [RESULT_READY, RESULT_CRITICAL, 'analysis.succeeded']);
    const made = await eventually('two notifications', async () => { const found = await about(result.analysisId); return found.length === 2 && found; });
    expect(made.map(({ topic, critical }) => [topic, critical]).sort()).toEqual([['result.critical', true], ['result.ready', false]]);
    expect(made[0]?.subject).toEqual({ analysis: 'chest-xray-classification', analysisId: result.analysisId, resultId, studyInstanceUid: result.studyInstanceUid });
  });

  it('makes no second one when the job runs twice', async () => {
    const analysisId = uuidv7();
    const payload: AnalysisEnded = { institutionId: house.institutionId, analysisId, studyInstanceUid: '2.25.1', analysis: 'chest-xray-classification', resultId: null };
    const context = { jobId: uuidv7(), topic: ANALYSIS_FAILED, attempt: 1, signal: new AbortController().signal };
    await house.app.get(FanOutJob).handle(payload, context);
    await house.app.get(FanOutJob).handle(payload, { ...context, attempt: 2 });
    expect(await about(analysisId)).toHaveLength(1);
  });
});

describe('the list', () => {
  it('pages, newest first, and tells open ones from acknowledged ones', async () => {
    const analysisIds = [await fail(), await fail(), await fail()];
    await eventually('three notifications', async () => (await Promise.all(analysisIds.map(about))).every((found) => found.length === 1));
    const first = await list('?limit=2');
    const second = await list(`?limit=1&cursor=${first.nextCursor ?? ''}`);
    expect([...first.items, ...second.items].map(({ subject }) => subject.analysisId)).toEqual([...analysisIds].reverse());

    const id = first.items[0]?.id ?? '';
    const acknowledged = await house.fetch(`/api/v1/notifications/${id}/acknowledge`, { method: 'POST' });
    expect(acknowledged.status).toBe(200);
    const body = (await acknowledged.json()) as NotificationJson;
    expect(body.acknowledgedAt).not.toBeNull();
    expect(body.acknowledgedBy).not.toBeNull();
    expect((await list('?acknowledged=true')).items.map((item) => item.id)).toEqual([id]);
    expect((await list('?acknowledged=false&limit=200')).items.map((item) => item.id)).not.toContain(id);

    const again = (await (await house.fetch(`/api/v1/notifications/${id}/acknowledge`, { method: 'POST' })).json()) as NotificationJson;
    expect(again.acknowledgedAt).toBe(body.acknowledgedAt);
  });

  it('knows no notification of another institution', async () => {
    const foreign = uuidv7();
    await house.owner.notification.create({ data: { id: foreign, institutionId: uuidv7(), topic: RESULT_READY, subject: {} } });
    const response = await house.fetch(`/api/v1/notifications/${foreign}/acknowledge`, { method: 'POST' });
    expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([404, 'notification-not-found']);
    expect((await list('?limit=200')).items.map(({ id }) => id)).not.toContain(foreign);
  });
});

describe('what somebody has read', () => {
  /** Another person of the institution, with the administrator's password. */
  async function colleague(): Promise<{ id: string; fetch: (path: string, init?: RequestInit) => Promise<{ status: number; body: InboxAnswer }> }> {
    const { passwordHash } = await house.owner.user.findFirstOrThrow({ where: { email: ADMIN.email } });
    const { id, email } = await house.owner.user.create({ data: { id: uuidv7(), email: `${uuidv7()}@people.test`, displayName: 'Somebody', role: 'radiologist', passwordHash, institutionId: house.institutionId } });
    const { access_token: token } = await signIn(house.url, email);
    return {
      id,
      fetch: async (path, init = {}) => {
        const response = await fetch(`${house.url}/api/v1/notifications${path}`, { ...init, headers: { authorization: `Bearer ${token}` } });
        return { status: response.status, body: (await response.json()) as InboxAnswer };
      },
    };
  }
  type InboxItem = NotificationJson & { readAt: string | null };
  /** A list, counts or one notification. */
  interface InboxAnswer { items: InboxItem[]; unread: number; critical: unknown; readAt: string | null }
  const made = (topic: string, more: object = {}) => house.owner.notification.create({ data: { id: uuidv7(), institutionId: house.institutionId, topic, subject: {}, ...more } });

  it('is theirs alone, and no acknowledgement', async () => {
    const [one, other] = [await colleague(), await colleague()];
    const { id } = await made(RESULT_READY);
    const before = (await other.fetch('/unread')).body.unread;
    const read = await one.fetch(`/${id}/read`, { method: 'POST' });
    expect(read).toMatchObject({ status: 200, body: { id, readAt: expect.any(String) as unknown, calledAt: null, acknowledgedAt: null } });
    expect((await one.fetch(`/${id}/read`, { method: 'POST' })).body.readAt).toBe(read.body.readAt);
    expect((await one.fetch('?read=false&limit=200')).body.items.map((item) => item.id)).not.toContain(id);
    expect((await one.fetch('?read=true')).body.items.map((item) => item.id)).toEqual([id]);
    expect((await other.fetch('?read=false&limit=200')).body.items.map((item) => item.id)).toContain(id);
    expect((await other.fetch('/unread')).body.unread).toBe(before);
    expect((await one.fetch('/unread')).body.unread).toBe(before - 1);
    // Whoever acknowledges one has read it.
    expect((await other.fetch(`/${id}/acknowledge`, { method: 'POST' })).body).toMatchObject({ acknowledgedBy: other.id, readAt: expect.any(String) as unknown });
  });

  it('is everything that is there, and nothing that comes after', async () => {
    const one = await colleague();
    const [old, critical] = [await made(RESULT_READY, { createdAt: new Date(Date.now() - 3_600_000) }), await made(RESULT_CRITICAL, { critical: true })];
    expect(Number((await one.fetch('/unread')).body.critical)).toBeGreaterThan(0);
    const [answer] = await Promise.all([one.fetch('/read-all', { method: 'POST' }), one.fetch('/read-all', { method: 'POST' })]);
    expect(answer).toMatchObject({ status: 200, body: { unread: 0, critical: 0 } });
    expect((await one.fetch('?read=false')).body.items).toEqual([]);
    expect((await one.fetch('?read=true&limit=200')).body.items.map(({ id }) => id)).toEqual(expect.arrayContaining([old.id, critical.id]));
    expect((await one.fetch('?acknowledged=false&limit=200')).body.items.map(({ id }) => id)).toContain(critical.id);
    // One that comes in late, behind what was read.
    const late = await made(RESULT_READY, { createdAt: new Date(Date.now() - 1_000) });
    expect((await one.fetch('?read=false')).body.items.map(({ id }) => id)).toEqual([late.id]);
    // The escalation chain calls for them: unread again, whenever it came in.
    await house.owner.notificationState.upsert({ where: { notificationId_userId: { notificationId: old.id, userId: one.id } }, create: { notificationId: old.id, userId: one.id, institutionId: house.institutionId, calledAt: new Date() }, update: { calledAt: new Date() } });
    expect((await one.fetch('?read=false')).body.items.map(({ id, readAt }) => [id, readAt])).toEqual([[late.id, null], [old.id, null]]);
    expect((await one.fetch('/unread')).body).toEqual({ unread: 2, critical: 0 });
    await one.fetch(`/${old.id}/read`, { method: 'POST' });
    expect((await one.fetch('/unread')).body).toEqual({ unread: 1, critical: 0 });
    await one.fetch('/read-all', { method: 'POST' });
    expect((await one.fetch('/unread')).body).toEqual({ unread: 0, critical: 0 });
  });

  it('is nothing of another institution, nor what they are not shown', async () => {
    const one = await colleague();
    const foreign = await made(RESULT_READY, { institutionId: uuidv7() });
    const hidden = await made('access.break-glass', { critical: true });
    await one.fetch('/read-all', { method: 'POST' });
    await made('access.break-glass', { critical: true, createdAt: new Date(Date.now() + 1_000) });
    expect((await one.fetch('/unread')).body).toEqual({ unread: 0, critical: 0 });
    for (const id of [foreign.id, hidden.id, uuidv7()]) expect(await one.fetch(`/${id}/read`, { method: 'POST' })).toMatchObject({ status: 404, body: { code: 'notification-not-found' } });
    expect(await house.owner.notificationState.count({ where: { notificationId: foreign.id } })).toBe(0);
  });
});

describe('GET /api/v1/events', () => {
  it('tells of what happens from now on, each once, with ids only', async () => {
    const stream = await follow();
    await stream.following;
    const analysisId = await fail();
    await eventually('the event', () => Promise.resolve(stream.seen.length > 0));
    await fail(uuidv7());
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(stream.seen).toEqual([{ event: 'analysis.failed', id: (await about(analysisId))[0]?.id, data: { analysis: 'chest-xray-classification', analysisId, resultId: null, studyInstanceUid: '2.25.1' } }]);
    await stream.close();
  });

  it('goes on after the last event that a client saw', async () => {
    const before = await fail();
    const id = await eventually('the notification', async () => (await about(before))[0]?.id);
    const missed = [await fail(), await fail()];
    await eventually('the missed ones', async () => (await Promise.all(missed.map(about))).every((found) => found.length === 1));
    const stream = await follow(id);
    await stream.following;
    const ids = stream.seen.map(({ data }) => (data as { analysisId: string }).analysisId);
    expect(ids).not.toContain(before);
    expect(ids.filter((analysisId) => missed.includes(analysisId)).sort()).toEqual([...missed].sort());
    await stream.close();
  });

  it('catches up when a signal is lost', async () => {
    const stream = await follow();
    await stream.following;
    const id = uuidv7();
    await house.owner.notification.create({ data: { id, institutionId: house.institutionId, topic: RESULT_READY, subject: {} } });
    await eventually('the event', () => Promise.resolve(stream.seen.some((seen) => seen.id === id)), 15_000);
    await stream.close();
  });

  it('needs somebody who may read notifications', async () => {
    expect((await fetch(`${house.url}/api/v1/events`)).status).toBe(401);
  });
});
