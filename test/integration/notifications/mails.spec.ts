import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uuidv7 } from '../../../src/kernel/uid.js';
import { ANALYSIS_FAILED, RESULT_CRITICAL, RESULT_READY } from '../../../src/modules/analysis/analysis.contract.js';
import { FanOutJob } from '../../../src/modules/notifications/fan-out.job.js';
import { MailsStore } from '../../../src/modules/notifications/mail/mails.store.js';
import { MOST_TRIES, SendNotificationMailsJob } from '../../../src/modules/notifications/mail/send-notification-mails.job.js';
import { WebModule } from '../../../src/web/web.module.js';
import { eventually } from '../../support/product.js';
import { commitResult, conclusion, uploadStudy } from '../results/house.js';
import { BASE, NO_CONTEXT, openMessenger, PASSWORD, type Messenger, type Person } from './messenger.js';

let messenger: Messenger;
let institutionId: string;
beforeAll(async () => {
  messenger = await openMessenger([WebModule]);
  ({ institutionId } = messenger.house);
});
afterAll(async () => { await messenger.close(); });

const PREFERENCES = '/notification-preferences';
const choose = async (person: Person, body: Record<string, unknown>): Promise<void> => {
  const { status, body: answer } = await messenger.ask(person, 'PUT', PREFERENCES, { timeZone: 'UTC', ...body });
  expect(answer).not.toHaveProperty('errors');
  expect(status).toBe(200);
};
/** Sends what is due, as the timer does. */
const send = (): Promise<void> => messenger.house.app.get(SendNotificationMailsJob).handle({ institutionId }, NO_CONTEXT);
const rows = (person: Person) => messenger.house.owner.notificationMail.findMany({ where: { userId: person.id }, orderBy: { id: 'asc' } });
const become = (person: Person, change: { nextAt?: Date; attempts?: number }) => messenger.house.owner.notificationMail.updateMany({ where: { userId: person.id }, data: change });
const settled = (person: Person) => eventually('the mails to be settled', async () => { await send(); const all = await rows(person); return all.length > 0 && all.every(({ state }) => state !== 'waiting') && all; });
const clock = (hours: number): string => new Date(Date.now() + hours * 3_600_000).toISOString().slice(11, 16);

describe('a critical result', () => {
  it('is told to radiologists at once unless they say otherwise, in both languages, and to nobody else', async () => {
    const [radiologist, technician, auditor] = [await messenger.person('radiologist'), await messenger.person('technician'), await messenger.person('auditor')];
    const { study, instance } = await uploadStudy(messenger.house, 4711);
    await commitResult(messenger.house, conclusion(messenger.house, { study, instance }, { summary: { text: 'Pneumothorax of Mr. Secret', critical: true } }), [RESULT_CRITICAL]);
    const [mail] = await eventually('a mail', () => Promise.resolve(messenger.to(radiologist).length > 0 && messenger.to(radiologist)));
    const notification = await messenger.house.owner.notification.findFirstOrThrow({ where: { topic: RESULT_CRITICAL }, orderBy: { id: 'desc' } });
    expect(mail).toMatchObject({ to: [radiologist.email], subject: 'HealthVision: A critical result / HealthVision: 危急结果' });
    for (const body of [mail?.text, mail?.html]) {
      expect(body).toContain(`${BASE}/notifications/${notification.id}`);
      expect(body).toContain('Please look at it now and acknowledge it.');
      expect(body).toContain('请立即查看并确认');
    }
    expect(mail?.headers).toEqual(expect.arrayContaining(['Auto-Submitted: auto-generated', 'From: HealthVision <noreply@hospital.test>']));
    // Nothing of the patient, nor what would lead to one elsewhere.
    for (const secret of [study.studyInstanceUid, instance.sopInstanceUid, 'P4711', 'Secret', 'Pneumothorax', 'chest']) for (const text of [mail?.raw, mail?.text, mail?.html]) expect(text).not.toContain(secret);
    expect(await settled(radiologist)).toHaveLength(1);
    expect([...messenger.to(technician), ...messenger.to(auditor)]).toEqual([]);
    expect(messenger.to(radiologist)).toHaveLength(1);
  });

  it('comes in the language of whoever gets it', async () => {
    const [english, chinese] = [await messenger.person('radiologist'), await messenger.person('admin', { displayName: '李明' })];
    await choose(english, { language: 'en', email: { [RESULT_CRITICAL]: 'immediately' } });
    await choose(chinese, { language: 'zh-CN', timeZone: 'Asia/Shanghai', email: { [RESULT_CRITICAL]: 'immediately' } });
    await messenger.notify(RESULT_CRITICAL);
    await Promise.all([settled(english), settled(chinese)]);
    const [[one], [other]] = [messenger.to(english), messenger.to(chinese)];
    expect(one?.subject).toBe('HealthVision: A critical result');
    expect(one?.text).toContain('Hello Dr. Ada Lovelace,');
    expect(`${one?.text ?? ''}${one?.html ?? ''}`).not.toMatch(/\p{Script=Han}/u);
    expect(other?.subject).toBe('HealthVision: 危急结果');
    expect(other?.text).toContain('李明，您好：');
    expect(other?.text).not.toContain('Hello');
    expect(other?.html).toContain('<html lang="zh-CN">');
  });
});

describe('notification preferences', () => {
  it('are those of the role until somebody chooses, and are changed by whoever has seen them', async () => {
    const [radiologist, technician] = [await messenger.person('radiologist'), await messenger.person('technician')];
    const before = await messenger.ask(radiologist, 'GET', PREFERENCES);
    expect(before.body).toMatchObject({ language: null, timeZone: 'UTC', updatedAt: null, quietHours: null, digest: { every: 'day', hour: 7 }, email: { [RESULT_CRITICAL]: 'immediately', [RESULT_READY]: 'off' } });
    expect((await messenger.ask(technician, 'GET', PREFERENCES)).body).toMatchObject({ email: { [RESULT_CRITICAL]: 'off' } });
    const etag = before.headers.get('etag') ?? '';
    const chosen = { language: 'zh-CN', timeZone: 'Asia/Shanghai', email: { [RESULT_READY]: 'digest' }, digest: { every: 'hour' }, quietHours: { from: '22:00', to: '07:00' } };
    const changed = await messenger.ask(radiologist, 'PUT', PREFERENCES, chosen, { 'if-match': etag });
    expect(changed).toMatchObject({ status: 200, body: { ...chosen, email: { [RESULT_READY]: 'digest', [RESULT_CRITICAL]: 'off' } } });
    expect(await messenger.ask(radiologist, 'PUT', PREFERENCES, chosen, { 'if-match': etag })).toMatchObject({ status: 412, body: { code: 'precondition-failed' } });
    expect((await messenger.ask(radiologist, 'GET', PREFERENCES)).headers.get('etag')).toBe(changed.headers.get('etag'));
    expect((await messenger.ask(technician, 'GET', PREFERENCES)).body).toMatchObject({ updatedAt: null });
    const several = await Promise.all([1, 2, 3].map(() => messenger.ask(radiologist, 'PUT', PREFERENCES, chosen, { 'if-match': changed.headers.get('etag') ?? '' })));
    expect(several.map(({ status }) => status).sort()).toEqual([200, 412, 412]);
  });

  it.each([
    ['no time zone', {}, '/timeZone'],
    ['a time zone that is none', { timeZone: 'Nowhere/At_all' }, '/timeZone'],
    ['a long time zone', { timeZone: 'A/'.repeat(500) }, '/timeZone'],
    ['a topic that is none', { timeZone: 'UTC', email: { everything: 'immediately' } }, '/email/everything'],
    ['a critical topic in a digest', { timeZone: 'UTC', email: { [RESULT_CRITICAL]: 'digest' } }, `/email/${RESULT_CRITICAL}`],
    ['quiet hours of no length', { timeZone: 'UTC', email: {}, quietHours: { from: '08:00', to: '08:00' } }, '/quietHours'],
    ['a language that is not spoken', { timeZone: 'UTC', email: {}, language: 'de' }, '/language'],
    ['an unknown field', { timeZone: 'UTC', email: {}, phone: '1' }, '/phone'],
  ])('are refused with %s', async (_, body, pointer) => {
    const answer = await messenger.ask<{ code: string; errors: { pointer: string }[] }>(messenger.administrator, 'PUT', PREFERENCES, body);
    expect([answer.status, answer.body.code]).toEqual([400, 'invalid-body']);
    expect(answer.body.errors.map((error) => error.pointer)).toContain(pointer);
  });
});

describe('quiet hours', () => {
  it('keep back what is not critical until they end', async () => {
    const person = await messenger.person('radiologist');
    const to = clock(2);
    await choose(person, { email: { [RESULT_CRITICAL]: 'immediately', [ANALYSIS_FAILED]: 'immediately' }, quietHours: { from: clock(-2), to } });
    await messenger.notify(ANALYSIS_FAILED);
    await messenger.notify(RESULT_CRITICAL);
    await eventually('the critical one', async () => { await send(); return messenger.to(person).length > 0; });
    expect(messenger.to(person).map(({ subject }) => subject)).toEqual(['HealthVision: A critical result / HealthVision: 危急结果']);
    const waiting = (await rows(person)).find(({ state }) => state === 'waiting');
    expect(waiting?.nextAt.toISOString().slice(11, 16)).toBe(to);
    // The hour has come by the row, but the person's quiet hours are not over: a try that comes again, say.
    await become(person, { nextAt: new Date(0) });
    await send();
    expect(messenger.to(person)).toHaveLength(1);
    // Without quiet hours what waits goes out.
    await choose(person, { email: { [ANALYSIS_FAILED]: 'immediately' } });
    await settled(person);
    expect(messenger.to(person).map(({ subject }) => subject)[1]).toBe('HealthVision: An analysis failed / HealthVision: 分析失败');
  });
});

describe('a digest', () => {
  it('gathers what came in, and goes out once when it is due', async () => {
    const person = await messenger.person('technician');
    await choose(person, { language: 'en', email: { [RESULT_READY]: 'digest', [ANALYSIS_FAILED]: 'digest' }, digest: { every: 'hour' } });
    const ids = [await messenger.notify(RESULT_READY), await messenger.notify(ANALYSIS_FAILED), await messenger.notify(RESULT_READY)];
    await send();
    expect(messenger.to(person)).toEqual([]);
    expect((await rows(person)).map(({ digest, nextAt }) => [digest, nextAt.getUTCMinutes(), nextAt.getTime() > Date.now()])).toEqual(Array.from({ length: 3 }, () => [true, 0, true]));
    await become(person, { nextAt: new Date(0) });
    // Several workers at a time make one mail of it.
    await Promise.all([send(), send(), send(), send()]);
    expect((await rows(person)).map(({ state }) => state)).toEqual(['sent', 'sent', 'sent']);
    const [mail, ...others] = messenger.to(person);
    expect(others).toEqual([]);
    expect(mail?.subject).toBe('HealthVision: 3 notifications');
    for (const id of ids) expect(mail?.text).toContain(`${BASE}/notifications/${id}`);
    expect(mail?.text).toContain('A result is ready: 2');
  });

  it('that nobody wants any more is not sent, and one that is wanted at once does not wait', async () => {
    const person = await messenger.person('technician');
    await choose(person, { email: { [RESULT_READY]: 'digest', [ANALYSIS_FAILED]: 'digest' } });
    await messenger.notify(RESULT_READY);
    await messenger.notify(ANALYSIS_FAILED);
    await choose(person, { email: { [ANALYSIS_FAILED]: 'immediately' } });
    const all = await settled(person);
    expect(all.map(({ state, failure }) => [state, failure])).toEqual([['skipped', 'not-wanted'], ['sent', null]]);
    expect(messenger.to(person)).toHaveLength(1);
  });
});

describe('a mail', () => {
  it('goes out once, whoever else is sending, and although the notification is made twice', async () => {
    const person = await messenger.person('technician');
    await choose(person, { email: { [ANALYSIS_FAILED]: 'immediately' } });
    const ids = await Promise.all(Array.from({ length: 12 }, () => messenger.notify()));
    await messenger.house.app.get(FanOutJob).handle({ institutionId, analysisId: uuidv7(), studyInstanceUid: '2.25.1', analysis: 'chest-xray-classification', resultId: null }, { ...NO_CONTEXT, jobId: ids[0] ?? '', topic: ANALYSIS_FAILED });
    await Promise.all([send(), send(), send(), send()]);
    await settled(person);
    const mails = messenger.to(person);
    expect(mails).toHaveLength(12);
    expect(new Set(mails.map(({ messageId }) => messageId)).size).toBe(12);
    expect(ids.every((id) => mails.some(({ text }) => text.includes(id)))).toBe(true);
  });

  it('is tried again ever more seldom while the relay is away, and given up after three days', async () => {
    const person = await messenger.person('technician');
    await choose(person, { email: { [ANALYSIS_FAILED]: 'immediately' } });
    messenger.mailbox.away = true;
    await messenger.notify();
    const first = await eventually('a try', async () => { await send(); const [row] = await rows(person); return row?.failure !== null && row; });
    expect([first.state, first.attempts, first.claimId]).toEqual(['waiting', 1, null]);
    expect(first.nextAt.getTime() - Date.now()).toBeGreaterThan(20_000);
    await become(person, { nextAt: new Date(0), attempts: 9 });
    const later = await eventually('another try', async () => { await send(); const [row] = await rows(person); return row?.attempts === 10 && row.claimId === null && row; });
    expect((later.nextAt.getTime() - Date.now()) / 3_600_000).toBeGreaterThan(4);
    await become(person, { nextAt: new Date(0), attempts: MOST_TRIES - 1 });
    expect((await settled(person)).map(({ state }) => state)).toEqual(['given-up']);
    messenger.mailbox.away = false;
    await become(person, { nextAt: new Date(0) });
    await send();
    expect(messenger.to(person)).toEqual([]);
  });

  it('to an address that the relay does not know is given up at once', async () => {
    const person = await messenger.person('technician');
    await choose(person, { email: { [ANALYSIS_FAILED]: 'immediately' } });
    messenger.mailbox.unknown.add(person.email);
    await messenger.notify();
    expect((await settled(person)).map(({ state, failure, attempts }) => [state, failure, attempts])).toEqual([['given-up', 'EENVELOPE', 1]]);
  });

  it('of a worker that died is sent by another one, and the first has no say any more', async () => {
    const person = await messenger.person('technician');
    await choose(person, { email: { [RESULT_READY]: 'immediately' }, quietHours: { from: clock(-2), to: clock(2) } });
    await messenger.notify(RESULT_READY);
    await messenger.house.owner.notificationMail.updateMany({ where: { userId: person.id }, data: { nextAt: new Date(0), attempts: 1 } });
    await choose(person, { email: { [RESULT_READY]: 'immediately' } });
    const store = messenger.house.app.get(MailsStore);
    const dead = await eventually('a claim', async () => (await store.claim())?.userId === person.id && (await rows(person))[0]);
    await send();
    expect(messenger.to(person)).toEqual([]);
    await become(person, { nextAt: new Date(0) });
    await settled(person);
    await store.finish([{ id: dead.id, claimId: dead.claimId ?? '' }], { state: 'given-up', failure: 'dead' });
    expect((await rows(person)).map(({ state }) => state)).toEqual(['sent']);
    expect(messenger.to(person)).toHaveLength(1);
  });

  it('is not sent to whoever was disabled meanwhile, nor about what they may not see', async () => {
    const [gone, demoted] = [await messenger.person('radiologist'), await messenger.person('admin')];
    await choose(gone, { email: { [ANALYSIS_FAILED]: 'digest' } });
    await choose(demoted, { email: { 'access.break-glass': 'immediately', [ANALYSIS_FAILED]: 'digest' } });
    await messenger.notify();
    await messenger.ask(messenger.administrator, 'DELETE', `/users/${gone.id}`);
    await messenger.ask(messenger.administrator, 'PATCH', `/users/${demoted.id}`, { role: 'auditor' });
    for (const person of [gone, demoted]) await become(person, { nextAt: new Date(0) });
    expect((await settled(gone)).map(({ state, failure }) => [state, failure])).toEqual([['skipped', 'not-active']]);
    expect((await settled(demoted)).map(({ state, failure }) => [state, failure])).toEqual([['skipped', 'not-permitted']]);
    await messenger.notify();
    expect(await rows(gone)).toHaveLength(1);
  });

  it('goes with the notification that it is about', async () => {
    const person = await messenger.person('technician');
    await choose(person, { email: { [ANALYSIS_FAILED]: 'digest' } });
    const id = await messenger.notify();
    expect(await rows(person)).toHaveLength(1);
    await messenger.house.owner.notification.delete({ where: { id } });
    expect(await rows(person)).toEqual([]);
  });
});

describe('the page that a mail leads to', () => {
  it('leads whoever is signed in to the study, and others to the sign-in', async () => {
    const person = await messenger.person('technician');
    const id = await messenger.notify(ANALYSIS_FAILED, { studyInstanceUid: '2.25.815' });
    const open = async (path: string, cookie = ''): Promise<(number | string | null)[]> => {
      const response = await fetch(`${messenger.house.url}${path}`, { headers: { cookie }, redirect: 'manual' });
      return [response.status, response.headers.get('location')];
    };
    expect(await open(`/notifications/${id}`)).toEqual([303, `/login?next=%2Fnotifications%2F${id}`]);
    const session = await fetch(`${messenger.house.url}/session`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ email: person.email, password: PASSWORD }) });
    const cookie = session.headers.getSetCookie().map((text) => text.split(';')[0]).join('; ');
    expect(await open(`/notifications/${id}`, cookie)).toEqual([303, '/viewer/viewer?StudyInstanceUIDs=2.25.815']);
    const foreign = uuidv7();
    await messenger.house.owner.notification.create({ data: { id: foreign, institutionId: uuidv7(), topic: RESULT_READY, subject: { studyInstanceUid: '2.25.9' } } });
    for (const path of [foreign, uuidv7(), 'nonsense', '..%2F..']) expect(await open(`/notifications/${path}`, cookie)).toEqual([303, '/']);
  });
});
