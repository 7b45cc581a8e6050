import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uuidv7 } from '../../../src/kernel/uid.js';
import { RESULT_CRITICAL, RESULT_READY } from '../../../src/modules/analysis/analysis.contract.js';
import { ClimbEscalationsJob } from '../../../src/modules/notifications/escalation/climb-escalations.job.js';
import type { EscalationJson } from '../../../src/modules/notifications/escalation/escalation-json.js';
import { Metrics } from '../../../src/platform/ops/metrics.js';
import { eventually } from '../../support/product.js';
import { BASE, mailDesk, NO_CONTEXT, openMessenger, type Messenger, type Person } from './messenger.js';

let messenger: Messenger;
let institutionId: string;
let desk: ReturnType<typeof mailDesk>;
beforeAll(async () => {
  messenger = await openMessenger();
  ({ institutionId } = messenger.house);
  desk = mailDesk(messenger);
});
afterAll(async () => { await messenger.close(); });

const CHAIN = '/escalation-chain';
const setUp = async (steps: unknown): Promise<void> => { expect(await messenger.ask(messenger.administrator, 'PUT', CHAIN, { steps })).toMatchObject({ status: 200, body: { steps } }); };
const climb = (): Promise<void> => messenger.house.app.get(ClimbEscalationsJob).handle({ institutionId }, NO_CONTEXT);
/** Lets time pass, as the database sees it. */
const pass = async (id: string, minutes: number): Promise<void> => {
  await messenger.house.owner.$executeRaw`UPDATE escalations SET started_at = started_at - make_interval(mins => ${minutes}::int), next_at = next_at - make_interval(mins => ${minutes}::int) WHERE notification_id = ${id}::uuid`;
  await messenger.house.owner.$executeRaw`UPDATE notifications SET created_at = created_at - make_interval(mins => ${minutes}::int) WHERE id = ${id}::uuid`;
};
const escalation = async (id: string): Promise<EscalationJson> => {
  const { status, body } = await messenger.ask(messenger.administrator, 'GET', `/notifications/${id}/escalation`);
  expect(status).toBe(200);
  return body as EscalationJson;
};
const stepsTaken = async (id: string): Promise<number> => (await escalation(id)).steps.filter(({ takenAt }) => takenAt !== null).length;
const metric = async (name: string): Promise<number> => Number(new RegExp(`^${name.replaceAll(/[{}"]/g, '\\$&')} (\\S+)$`, 'm').exec(await messenger.house.app.get(Metrics).registry.metrics())?.[1] ?? 0);

describe('the escalation chain', () => {
  it('is empty until somebody sets one up, and is changed by whoever has seen it', async () => {
    const before = await messenger.ask(messenger.administrator, 'GET', CHAIN);
    expect(before.body).toEqual({ steps: [], updatedAt: null });
    const etag = before.headers.get('etag') ?? '';
    const steps = [{ afterMinutes: 5, recipients: [{ role: 'radiologist' }], channels: ['email', 'in-app'] }];
    const answers = await Promise.all([1, 2, 3].map(() => messenger.ask(messenger.administrator, 'PUT', CHAIN, { steps }, { 'if-match': etag })));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 412, 412]);
    const [radiologist, technician] = [await messenger.person('radiologist'), await messenger.person('technician')];
    expect((await messenger.ask(radiologist, 'GET', CHAIN)).body).toMatchObject({ steps });
    expect((await messenger.ask(radiologist, 'PUT', CHAIN, { steps })).status).toBe(403);
    expect((await messenger.ask(technician, 'GET', CHAIN)).status).toBe(403);
  });

  const step = { afterMinutes: 5, recipients: [{ role: 'admin' }], channels: ['email'] };
  it.each([
    ['somebody who is not there', [{ ...step, recipients: [{ role: 'admin' }, { userId: uuidv7() }] }], '/steps/0/recipients/1/userId'],
    ['a role that sees no notifications', [{ ...step, recipients: [{ role: 'auditor' }] }], '/steps/0/recipients/0'],
    ['steps out of order', [step, { ...step, afterMinutes: 5 }], '/steps'],
    ['nobody to tell', [{ ...step, recipients: [] }], '/steps/0/recipients'],
    ['no channel', [{ ...step, channels: [] }], '/steps/0/channels'],
    ['a channel twice', [{ ...step, channels: ['email', 'email'] }], '/steps/0/channels'],
    ['a time before the result', [{ ...step, afterMinutes: -1 }], '/steps/0/afterMinutes'],
    ['parts of minutes', [{ ...step, afterMinutes: 0.5 }], '/steps/0/afterMinutes'],
    ['too many steps', Array.from({ length: 21 }, (_, index) => ({ ...step, afterMinutes: index })), '/steps'],
    ['no list', 'everybody', '/steps'],
  ])('is refused with %s', async (_, steps, pointer) => {
    const answer = await messenger.ask(messenger.administrator, 'PUT', CHAIN, { steps });
    expect([answer.status, answer.body.code]).toEqual([400, 'invalid-body']);
    expect(answer.body.errors).toEqual(expect.arrayContaining([expect.objectContaining({ pointer: expect.stringMatching(new RegExp(`^${pointer}`)) as unknown })]));
  });
});

describe('a critical result that nobody acknowledges', () => {
  let first: Person;
  let second: Person;
  let gone: Person;
  beforeAll(async () => {
    [first, second, gone] = [await messenger.person('technician'), await messenger.person('technician'), await messenger.person('technician')];
    // Whatever they want otherwise, and at any hour.
    await desk.choose(first, { language: 'en', email: {}, quietHours: { from: '00:00', to: '23:59' } });
    await desk.choose(second, { language: 'zh-CN', email: {} });
    await messenger.house.owner.user.update({ where: { id: gone.id }, data: { state: 'disabled' } });
    await setUp([
      { afterMinutes: 5, recipients: [{ userId: first.id }], channels: ['email', 'in-app'] },
      { afterMinutes: 15, recipients: [{ userId: first.id }, { userId: second.id }, { userId: gone.id }, { role: 'admin' }], channels: ['email'] },
    ]);
  });

  it('climbs the chain on time, each step once, whoever else climbs, and stays open at its end', async () => {
    const open = await metric('healthvision_escalations_open');
    const exhausted = await metric('healthvision_escalations_total{outcome="exhausted"}');
    const id = await messenger.notify(RESULT_CRITICAL);
    await climb();
    expect(await escalation(id)).toMatchObject({ state: 'climbing', acknowledgedAt: null, steps: [{ step: 1, afterMinutes: 5, takenAt: null, told: [] }, { step: 2, takenAt: null, told: [] }] });
    await pass(id, 4);
    await climb();
    expect(await stepsTaken(id)).toBe(0);

    await pass(id, 1);
    await Promise.all([climb(), climb(), climb(), climb()]);
    await desk.settled(first);
    expect(messenger.to(first).map(({ subject }) => subject)).toEqual(['HealthVision: Nobody has acknowledged a critical result']);
    expect(messenger.to(first)[0]?.text).toContain('A critical result came in 5 minutes ago');
    expect(messenger.to(first)[0]?.text).toContain(`${BASE}/notifications/${id}`);
    expect(messenger.to(first)[0]?.raw).not.toContain('2.25.4711');
    const one = await escalation(id);
    expect(one.steps[0]).toMatchObject({ told: [{ userId: first.id, channels: ['email', 'in-app'], skipped: null, mail: 'sent' }] });
    expect(Date.parse(one.steps[0]?.takenAt ?? '') - Date.parse(one.steps[0]?.dueAt ?? '')).toBeLessThan(10_000);
    // In the app it is unread for them, until they read it.
    const unread = await messenger.ask(first, 'GET', '/notifications?read=false&topic=result.critical');
    expect(unread.body).toMatchObject({ items: [{ id, calledAt: expect.any(String) as unknown, readAt: null, acknowledgedAt: null }] });
    await messenger.ask(first, 'POST', '/notifications/read-all');

    await pass(id, 10);
    await Promise.all([climb(), climb(), climb()]);
    await Promise.all([desk.settled(first), desk.settled(second)]);
    expect([messenger.to(first).length, messenger.to(second).length, messenger.to(gone).length]).toEqual([2, 1, 0]);
    expect(messenger.to(second)[0]?.text).toContain('一项危急结果于 15 分钟前产生，至今无人确认');
    const two = await escalation(id);
    expect(two.state).toBe('exhausted');
    expect(two.steps[1]?.told).toEqual(expect.arrayContaining([
      { userId: first.id, role: null, channels: ['email'], skipped: null, mail: 'sent' }, { userId: second.id, role: null, channels: ['email'], skipped: null, mail: 'sent' },
      { userId: gone.id, role: null, channels: [], skipped: 'not-active', mail: null }, { userId: null, role: 'admin', channels: [], skipped: 'nobody', mail: null },
    ]));
    await pass(id, 10_000);
    await climb();
    expect([messenger.to(first).length, await stepsTaken(id)]).toEqual([2, 2]);
    expect(await metric('healthvision_escalations_open')).toBe(open + 1);
    expect(await metric('healthvision_escalations_total{outcome="exhausted"}')).toBe(exhausted + 1);

    const events = await messenger.house.owner.auditEvent.findMany({ where: { action: 'escalateNotification', object: id }, orderBy: { sequence: 'asc' } });
    expect(events.map(({ outcome, details }) => [outcome, (details as { step: number }).step])).toEqual([['attempted', 1], ['succeeded', 1], ['attempted', 2], ['succeeded', 2]]);
    expect(events[3]?.details).toMatchObject({ told: 2, skipped: 2 });
    expect(events[3]).toMatchObject({ actorKind: 'job', studyInstanceUids: ['2.25.4711'] });
  });

  it('stops as soon as it is acknowledged, and says by whom and how late', async () => {
    const sent = messenger.to(second).length;
    const id = await messenger.notify(RESULT_CRITICAL);
    await pass(id, 6);
    await climb();
    expect(await stepsTaken(id)).toBe(1);
    expect((await messenger.ask(second, 'POST', `/notifications/${id}/acknowledge`)).body).toMatchObject({ acknowledgedBy: second.id });
    await pass(id, 10);
    await climb();
    const { state, acknowledgedBy, secondsToAcknowledgement, steps } = await escalation(id);
    expect([state, acknowledgedBy, steps[1]?.takenAt]).toEqual(['acknowledged', second.id, null]);
    expect(secondsToAcknowledgement).toBeGreaterThan(16 * 60 - 1);
    await desk.send();
    expect(messenger.to(second)).toHaveLength(sent);
    expect(await metric('healthvision_escalations_total{outcome="acknowledged"}')).toBeGreaterThan(0);
  });

  it('is told of by one of two: whoever acknowledges it, or the step', async () => {
    const ids = await Promise.all(Array.from({ length: 6 }, () => messenger.notify(RESULT_CRITICAL)));
    for (const id of ids) await pass(id, 5);
    await Promise.all([climb(), ...ids.map((id) => messenger.ask(first, 'POST', `/notifications/${id}/acknowledge`)), climb()]);
    for (const id of ids) {
      const { state, steps, acknowledgedAt } = await escalation(id);
      expect([state, steps[1]?.takenAt]).toEqual(['acknowledged', null]);
      if (steps[0]?.takenAt != null) expect(Date.parse(steps[0].takenAt)).toBeLessThanOrEqual(Date.parse(acknowledgedAt ?? '') + 1_000);
    }
  });

  it('is told at once when the chain says so, and follows the chain that it began with', async () => {
    await setUp([{ afterMinutes: 0, recipients: [{ userId: first.id }], channels: ['in-app'] }, { afterMinutes: 30, recipients: [{ userId: second.id }], channels: ['in-app'] }]);
    const id = await messenger.notify(RESULT_CRITICAL);
    await eventually('the first step', async () => (await stepsTaken(id)) === 1);
    await setUp([]);
    await pass(id, 31);
    await climb();
    expect(await stepsTaken(id)).toBe(2);
    const later = await messenger.notify(RESULT_CRITICAL);
    expect(await escalation(later)).toMatchObject({ state: 'exhausted', steps: [] });
  });

  it('of a worker that died goes on with another one', async () => {
    await setUp([{ afterMinutes: 5, recipients: [{ userId: first.id }], channels: ['in-app'] }]);
    const id = await messenger.notify(RESULT_CRITICAL);
    // What a worker leaves that dies between claim and step.
    await messenger.house.owner.escalation.update({ where: { notificationId: id }, data: { claimId: uuidv7(), nextAt: new Date(Date.now() - 1_000) } });
    await climb();
    expect(await stepsTaken(id)).toBe(1);
  });
});

describe('other notifications', () => {
  it('have no escalation, nor have those of other institutions', async () => {
    const id = await messenger.notify(RESULT_READY);
    const foreign = uuidv7();
    await messenger.house.owner.notification.create({ data: { id: foreign, institutionId: uuidv7(), topic: RESULT_CRITICAL, subject: {}, critical: true, escalation: { create: { institutionId: uuidv7(), steps: [] } } } });
    for (const one of [id, foreign, uuidv7()]) expect(await messenger.ask(messenger.administrator, 'GET', `/notifications/${one}/escalation`)).toMatchObject({ status: 404, body: { code: 'escalation-not-found' } });
    expect((await messenger.ask(messenger.administrator, 'POST', `/notifications/${foreign}/acknowledge`)).status).toBe(404);
  });
});

describe('the report', () => {
  it('tells how fast critical results were acknowledged, of a period, also line by line', async () => {
    const seconds = [10, 20, 30, 40, 1_000];
    const start = new Date('2026-01-10T00:00:00Z');
    for (const [index, late] of [...seconds, null].entries()) {
      const startedAt = new Date(start.getTime() + index * 60_000);
      await messenger.house.owner.notification.create({ data: { id: uuidv7(), institutionId, topic: RESULT_CRITICAL, subject: {}, critical: true, createdAt: startedAt, acknowledgedAt: late === null ? null : new Date(startedAt.getTime() + late * 1_000), escalation: { create: { institutionId, steps: [], startedAt, state: late === null ? 'exhausted' : 'acknowledged' } } } });
    }
    const period = 'from=2026-01-10T00:00:00Z&to=2026-01-11T00:00:00%2B00:00';
    expect((await messenger.ask(messenger.administrator, 'GET', `/escalations/report?${period}`)).body).toEqual({
      from: '2026-01-10T00:00:00.000Z', to: '2026-01-11T00:00:00.000Z', count: 6, acknowledged: 5, unacknowledged: 1, medianSeconds: 30, p95Seconds: 808,
    });
    const csv = await messenger.house.fetch(`/api/v1/escalations/report?${period}`, { headers: { accept: 'text/csv' } });
    expect([csv.status, csv.headers.get('content-type')]).toEqual([200, 'text/csv; charset=utf-8']);
    const [head, ...lines] = (await csv.text()).trim().split('\r\n');
    expect(head).toBe('notificationId,startedAt,state,steps,stepsTaken,acknowledgedAt,acknowledgedBy,secondsToAcknowledgement');
    expect(lines.map((line) => line.split(',').at(-1))).toEqual(['10', '20', '30', '40', '1000', '']);
    expect((await messenger.ask(messenger.administrator, 'GET', '/escalations/report?from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z')).body).toMatchObject({ count: 0, medianSeconds: null, p95Seconds: null });
    for (const query of ['from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z', 'from=yesterday', 'odd=1']) expect(await messenger.ask(messenger.administrator, 'GET', `/escalations/report?${query}`)).toMatchObject({ status: 400, body: { code: 'invalid-query' } });
  });
});
