import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { uuidv7 } from '../../../src/kernel/uid.js';
import { ANALYSIS_FAILED, type AnalysisEnded } from '../../../src/modules/analysis/analysis.contract.js';
import { EventFeed } from '../../../src/modules/notifications/event-feed.service.js';
import { NotificationTail } from '../../../src/modules/notifications/notification-tail.js';
import { NotificationsStore } from '../../../src/modules/notifications/notifications.store.js';
import { EVENT_STREAMS } from '../../../src/platform/http/event-stream.js';
import { ACCESS_BREAK_GLASS } from '../../../src/modules/users/users.contract.js';
import { Database } from '../../../src/platform/database/database.js';
import { Outbox } from '../../../src/platform/queue/outbox.js';
import { ADMIN, eventually, startProduct, type Product } from '../../support/product.js';
import { openPatientHouse, type PatientHouse } from '../images/patient-house.js';

/** One replica in this process, with the workers; another one, API alone, in a process of its own on the same database. */
let house: PatientHouse;
let replica: Product;
let token: string;
beforeAll(async () => {
  house = await openPatientHouse();
  replica = await startProduct({ dataDir: house.dataDir, env: { APP_ROLE: 'api' } });
  token = await replica.token();
});
afterAll(async () => {
  if (replica.process.exitCode === null && replica.process.signalCode === null) await replica.stop();
  await house.close();
});

interface Seen {
  id: string;
  topic: string;
  data: Record<string, string | null>;
}

/** Reads one stream until somebody ends it. */
class Stream {
  readonly seen: Seen[] = [];
  readonly ended: Promise<void>;
  private readonly abort = new AbortController();
  private begin: () => void = () => undefined;
  readonly following = new Promise<void>((resolve) => { this.begin = resolve; });

  constructor(url: string, headers: Record<string, string>, lastEventId?: string, private readonly onEvent: (id: string, one?: Seen) => void = () => undefined) {
    this.ended = this.read(url, { accept: 'text/event-stream', ...headers, ...(lastEventId !== undefined && { 'last-event-id': lastEventId }) }).catch(() => undefined);
  }

  async close(): Promise<void> {
    this.abort.abort();
    await this.ended;
  }

  private async read(url: string, headers: Record<string, string>): Promise<void> {
    const response = await fetch(`${url}/api/v1/events`, { headers, signal: this.abort.signal });
    if (response.status !== 200) throw new Error(String(response.status));
    let rest = '';
    for await (const chunk of (response.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())) {
      const blocks = `${rest}${chunk}`.split('\n\n');
      rest = blocks.pop() ?? '';
      for (const block of blocks) this.take(block);
    }
  }

  private take(block: string): void {
    const fieldOf = (name: string): string => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1] ?? '';
    const id = fieldOf('id');
    // As browsers do: an id counts without data, too.
    if (fieldOf('event') === '' && id !== '') this.onEvent(id);
    if (block.includes(': following')) this.begin();
    if (fieldOf('event') === '') return;
    // What the documentation says of the stream.
    const one = { id, topic: fieldOf('event'), data: JSON.parse(fieldOf('data')) as Seen['data'] };
    this.seen.push(one);
    this.onEvent(id, one);
  }
}

const bearer = (authorization = `Bearer ${token}`): Record<string, string> => ({ authorization });
const append = (topic: string, payload: object): Promise<void> => house.app.get(Database).transaction({ institutionId: house.institutionId }, (tx) => house.app.get(Outbox).append(tx, { institutionId: house.institutionId, topic, payload: payload as Record<string, string> }));
const failed = (analysisId = uuidv7()): AnalysisEnded => ({ institutionId: house.institutionId, analysisId, studyInstanceUid: '2.25.1', analysis: 'chest-xray-classification', resultId: null });
const fail = async (): Promise<string> => { const one = failed(); await append(ANALYSIS_FAILED, one); return one.analysisId; };
const madeOf = (analysisIds: readonly string[]): Promise<number> => house.system(async (client) => (await client.notification.findMany({ where: { topic: ANALYSIS_FAILED }, select: { subject: true } })).filter(({ subject }) => analysisIds.includes((subject as { analysisId: string }).analysisId)).length);

describe('a client of GET /api/v1/events', () => {
  it('misses nothing while events pour in, when it comes back to another replica each time, and when one of them is killed', { timeout: 120_000 }, async () => {
    const EVENTS = 300;
    const seen: Seen[] = [];
    let lastEventId: string | undefined;
    const note = (id: string, one?: Seen): void => { if (one) seen.push(one); lastEventId = id; };
    const urls = [replica.url, house.url];
    let current = new Stream(replica.url, bearer(), undefined, note);
    await current.following;
    let connections = 1;
    const done = new AbortController();
    const hopping = (async () => {
      while (!done.signal.aborted) {
        // Cut by us, or by the death of the replica; one that is dead is asked in vain.
        await Promise.race([current.ended, new Promise((resolve) => setTimeout(resolve, 120))]);
        await current.close();
        current = new Stream(urls[connections++ % 2] ?? '', bearer(), lastEventId, note);
      }
    })();
    const analysisIds: string[] = [];
    for (let batch = 0; batch < EVENTS / 10; batch++) {
      analysisIds.push(...(await Promise.all(Array.from({ length: 10 }, fail))));
      if (batch === EVENTS / 20) replica.process.kill('SIGKILL');
      await new Promise((resolve) => setTimeout(resolve, 40));
    }
    await eventually('all notifications', async () => (await madeOf(analysisIds)) === EVENTS, 60_000);
    done.abort();
    await hopping;
    await current.close();
    const rest = new Stream(house.url, bearer(), lastEventId, note);
    await rest.following;
    await rest.close();
    expect(replica.process.signalCode).toBe('SIGKILL');
    expect(connections).toBeGreaterThan(10);
    const first = seen.filter(({ id }, at) => seen.findIndex((other) => other.id === id) === at);
    expect(new Set(first.map(({ data }) => data.analysisId))).toEqual(new Set(analysisIds));
    expect(first).toHaveLength(EVENTS);
    // In the order in which they came in, which their times tell.
    const order = await house.system((client) => client.notification.findMany({ where: { topic: ANALYSIS_FAILED }, orderBy: { createdAt: 'asc' }, select: { id: true, createdAt: true } }));
    expect(new Set(order.map(({ createdAt }) => createdAt.getTime())).size).toBe(order.length);
    const known = new Set(first.map(({ id }) => id));
    expect(first.map(({ id }) => id)).toEqual(order.map(({ id }) => id).filter((id) => known.has(id)));
    console.info(`events: ${String(EVENTS)} over ${String(connections)} connections, ${String(seen.length - EVENTS)} came twice`);
  });

  it('sees each after those before it, and waits for none that hangs', { timeout: 60_000 }, async () => {
    const stream = new Stream(house.url, bearer());
    await stream.following;
    const { institutionId } = house;
    const hanging = async (ms: number): Promise<string> => {
      const id = uuidv7();
      await house.app.get(Database).transaction({ institutionId }, async (tx) => {
        await house.app.get(NotificationsStore).insert(tx, { id, institutionId, topic: ANALYSIS_FAILED, subject: { analysis: 'chest-xray-classification', analysisId: uuidv7(), resultId: null, studyInstanceUid: '2.25.1' }, critical: false });
        await new Promise((resolve) => setTimeout(resolve, ms));
      });
      return id;
    };
    const slow = hanging(1_000);
    await new Promise((resolve) => setTimeout(resolve, 200));
    const next = await fail();
    await eventually('the one behind it', () => Promise.resolve(stream.seen.some(({ data }) => data.analysisId === next)));
    expect(stream.seen.map(({ id }) => id).slice(0, 1)).toEqual([await slow]);
    const hung = expect(hanging(8_000)).rejects.toThrow();
    await new Promise((resolve) => setTimeout(resolve, 200));
    const last = await fail();
    await eventually('the next one', () => Promise.resolve(stream.seen.some(({ data }) => data.analysisId === last)), 15_000);
    await hung;
    expect(stream.seen).toHaveLength(3);
    await stream.close();
  });

  it('misses nothing when a clock jumps back by an hour', async () => {
    const { institutionId } = house;
    const ahead = uuidv7();
    await house.system((client) => client.notification.create({ data: { id: ahead, institutionId, topic: ANALYSIS_FAILED, subject: { ...failed() }, createdAt: new Date(Date.now() + 3_600_000) } }));
    const stream = new Stream(house.url, bearer(), ahead);
    await stream.following;
    const analysisId = await fail();
    await eventually('the event', () => Promise.resolve(stream.seen.some(({ data }) => data.analysisId === analysisId)));
    await stream.close();
    await house.system((client) => client.notification.deleteMany());
  });

  it('misses nothing when the database is away in the middle of a look, and is not told that it follows before it does', async () => {
    const { institutionId } = house;
    const store = house.app.get(NotificationsStore);
    const [last] = await Promise.all([fail()]);
    const id = await eventually('the notification', async () => (await house.system((client) => client.notification.findFirst({ orderBy: { createdAt: 'desc' } })))?.id);
    await house.system((client) => client.notification.createMany({ data: Array.from({ length: 450 }, () => ({ id: uuidv7(), institutionId, topic: ANALYSIS_FAILED, subject: { ...failed() } })) }));
    const tail = new NotificationTail(store, institutionId, id);
    const after = store.after.bind(store);
    let calls = 0;
    vi.spyOn(store, 'after').mockImplementation((...parameters) => (++calls === 2 ? Promise.reject(new Error('away')) : after(...parameters)));
    await expect(tail.look()).rejects.toThrow('away');
    expect((await tail.look()).length).toBeGreaterThanOrEqual(450);
    expect(last).toBeDefined();

    calls = 1;
    house.app.get(EventFeed).catchUpMs = 300;
    const stream = new Stream(house.url, bearer());
    const early = await Promise.race([stream.following.then(() => calls), new Promise<number>((resolve) => setTimeout(() => { resolve(calls); }, 5_000))]);
    expect(early).toBeGreaterThan(2);
    const analysisId = await fail();
    await eventually('the event', () => Promise.resolve(stream.seen.some(({ data }) => data.analysisId === analysisId)));
    expect(stream.seen).toHaveLength(1);
    vi.restoreAllMocks();
    house.app.get(EventFeed).catchUpMs = 10_000;
    await stream.close();
  });

  it('is told of emergency access only with the permission, live and afterwards', async () => {
    const radiologist = bearer((await house.person('radiologist', 'here')).authorization);
    const [mine, theirs] = [new Stream(house.url, bearer()), new Stream(house.url, radiologist)];
    await Promise.all([mine.following, theirs.following]);
    const before = await fail();
    await append(ACCESS_BREAK_GLASS, { institutionId: house.institutionId, breakGlassId: uuidv7(), userId: uuidv7() });
    const after = await fail();
    await eventually('all of them', () => Promise.resolve([mine, theirs].every(({ seen }) => seen.some(({ data }) => data.analysisId === after))));
    await eventually('the emergency', () => Promise.resolve(mine.seen.some(({ topic }) => topic === ACCESS_BREAK_GLASS)));
    const again = new Stream(house.url, radiologist, mine.seen.find(({ data }) => data.analysisId === before)?.id);
    // A position may be that of what is hidden.
    const behind = new Stream(house.url, radiologist, mine.seen.find(({ topic }) => topic === ACCESS_BREAK_GLASS)?.id);
    await Promise.all([again.following, behind.following]);
    for (const { seen } of [theirs, again, behind]) expect(seen.filter(({ topic }) => topic === ACCESS_BREAK_GLASS)).toEqual([]);
    expect(again.seen.map(({ data }) => data.analysisId)).toContain(after);
    await Promise.all([mine, theirs, again, behind].map((stream) => stream.close()));
  });

  it('of another institution is told of nothing', async () => {
    const stream = new Stream(house.url, bearer((await house.person('admin', 'elsewhere')).authorization));
    await stream.following;
    const own = new Stream(house.url, bearer());
    await own.following;
    const analysisId = await fail();
    await eventually('the event', () => Promise.resolve(own.seen.some(({ data }) => data.analysisId === analysisId)));
    expect(stream.seen).toEqual([]);
    await Promise.all([stream.close(), own.close()]);
  });
});

describe('a stream', () => {
  it('ends when its token is revoked, its user disabled, its key deleted, or its caller may see less', async () => {
    EVENT_STREAMS.recheckMs = 300;
    const [kept, disabled, narrowed] = [await house.person('admin', 'here'), await house.person('technician', 'here'), await house.person('admin', 'here')];
    const signIn = async (email: string): Promise<{ access_token: string; refresh_token: string }> => (await (await fetch(`${house.url}/oauth2/token`, { method: 'POST', body: new URLSearchParams({ grant_type: 'password', username: email, password: ADMIN.password }) })).json()) as { access_token: string; refresh_token: string };
    const revoked = await signIn(kept.email);
    const made = await house.json<{ id: string; key: string }>('/api/v1/api-keys', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ name: 'events', scopes: ['notifications:read'] }) });
    const streams = {
      kept: new Stream(house.url, bearer(kept.authorization)), disabled: new Stream(house.url, bearer(disabled.authorization)), narrowed: new Stream(house.url, bearer(narrowed.authorization)),
      revoked: new Stream(house.url, bearer(`Bearer ${revoked.access_token}`)), key: new Stream(house.url, { 'x-api-key': made.key }),
    };
    await Promise.all(Object.values(streams).map(({ following }) => following));
    const patch = (id: string, body: object): Promise<Response> => house.fetch(`/api/v1/users/${id}`, { method: 'PATCH', headers: { 'content-type': 'application/json', 'if-match': '*' }, body: JSON.stringify(body) });
    expect((await patch(disabled.id, { state: 'disabled' })).status).toBe(200);
    expect((await patch(narrowed.id, { role: 'radiologist' })).status).toBe(200);
    expect((await fetch(`${house.url}/oauth2/revoke`, { method: 'POST', body: new URLSearchParams({ token: revoked.refresh_token }) })).status).toBe(200);
    expect((await house.fetch(`/api/v1/api-keys/${made.id}`, { method: 'DELETE', headers: { 'if-match': '*' } })).status).toBe(204);
    const started = Date.now();
    await Promise.all([streams.disabled, streams.narrowed, streams.revoked, streams.key].map(({ ended }) => ended));
    expect(Date.now() - started).toBeLessThan(10_000);
    // Whoever may still watch does.
    const analysisId = await fail();
    await eventually('the event', () => Promise.resolve(streams.kept.seen.some(({ data }) => data.analysisId === analysisId)));
    expect(streams.disabled.seen.concat(streams.key.seen, streams.revoked.seen, streams.narrowed.seen)).toEqual([]);
    EVENT_STREAMS.recheckMs = 20_000;
    await streams.kept.close();
  });
});
