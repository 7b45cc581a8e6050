import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uuidv7 } from '../../../src/kernel/uid.js';
import { ANALYSIS_FAILED, RESULT_CRITICAL, RESULT_READY } from '../../../src/modules/analysis/analysis.contract.js';
import { FanOutJob } from '../../../src/modules/notifications/fan-out.job.js';
import { eventually } from '../../support/product.js';
import { commitResult, conclusion, uploadStudy } from '../results/house.js';
import { BASE, mailDesk, NO_CONTEXT, openMessenger, type Messenger } from './messenger.js';

let messenger: Messenger;
let institutionId: string;
let desk: ReturnType<typeof mailDesk>;
beforeAll(async () => {
  messenger = await openMessenger();
  ({ institutionId } = messenger.house);
  desk = mailDesk(messenger);
});
afterAll(async () => { await messenger.close(); });

const PREFERENCES = '/notification-preferences';
const clock = (hours: number): string => new Date(Date.now() + hours * 3_600_000).toISOString().slice(11, 16);

describe('a critical result', () => {
  it('is told to radiologists at once unless they say otherwise, in both languages, and to nobody else', async () => {
    const [radiologist, technician, auditor] = [await messenger.person('radiologist'), await messenger.person('technician'), await messenger.person('auditor')];
    const elsewhere = await messenger.house.owner.institution.create({ data: { id: uuidv7(), name: 'Another hospital' } });
    const stranger = await messenger.person('radiologist', { institutionId: elsewhere.id });
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
    expect(await desk.settled(radiologist)).toHaveLength(1);
    expect([...messenger.to(technician), ...messenger.to(auditor), ...messenger.to(stranger)]).toEqual([]);
    expect(await desk.rows(stranger)).toEqual([]);
    expect(messenger.to(radiologist)).toHaveLength(1);
  });

  it('comes in the language of whoever gets it', async () => {
    const [english, chinese] = [await messenger.person('radiologist'), await messenger.person('admin', { displayName: '李明' })];
    await desk.choose(english, { language: 'en', email: { [RESULT_CRITICAL]: 'immediately' } });
    await desk.choose(chinese, { language: 'zh-CN', timeZone: 'Asia/Shanghai', email: { [RESULT_CRITICAL]: 'immediately' } });
    await messenger.notify(RESULT_CRITICAL);
    await Promise.all([desk.settled(english), desk.settled(chinese)]);
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
    const answer = await messenger.ask(messenger.administrator, 'PUT', PREFERENCES, body);
    expect([answer.status, answer.body.code]).toEqual([400, 'invalid-body']);
    expect(answer.body).toMatchObject({ errors: expect.arrayContaining([expect.objectContaining({ pointer })]) as unknown });
  });
});

describe('quiet hours', () => {
  it('keep back what is not critical until they end', async () => {
    const person = await messenger.person('radiologist');
    const to = clock(2);
    await desk.choose(person, { email: { [RESULT_CRITICAL]: 'immediately', [ANALYSIS_FAILED]: 'immediately' }, quietHours: { from: clock(-2), to } });
    await messenger.notify(ANALYSIS_FAILED);
    await messenger.notify(RESULT_CRITICAL);
    await eventually('the critical one', async () => { await desk.send(); return messenger.to(person).length > 0; });
    expect(messenger.to(person).map(({ subject }) => subject)).toEqual(['HealthVision: A critical result / HealthVision: 危急结果']);
    const waiting = (await desk.rows(person)).find(({ state }) => state === 'waiting');
    expect(waiting?.nextAt.toISOString().slice(11, 16)).toBe(to);
    // The hour has come by the row, but the person's quiet hours are not over: a try that comes again, say.
    await desk.become(person, { nextAt: new Date(0) });
    await desk.send();
    expect(messenger.to(person)).toHaveLength(1);
    // Without quiet hours what waits goes out.
    await desk.choose(person, { email: { [ANALYSIS_FAILED]: 'immediately' } });
    await desk.settled(person);
    expect(messenger.to(person).map(({ subject }) => subject)[1]).toBe('HealthVision: An analysis failed / HealthVision: 分析失败');
  });
});

describe('a digest', () => {
  it('gathers what came in, and goes out once when it is due', async () => {
    const person = await messenger.person('technician');
    await desk.choose(person, { language: 'en', email: { [RESULT_READY]: 'digest', [ANALYSIS_FAILED]: 'digest' }, digest: { every: 'hour' } });
    const ids = [await messenger.notify(RESULT_READY), await messenger.notify(ANALYSIS_FAILED), await messenger.notify(RESULT_READY)];
    await desk.send();
    expect(messenger.to(person)).toEqual([]);
    expect((await desk.rows(person)).map(({ digest, nextAt }) => [digest, nextAt.getUTCMinutes(), nextAt.getTime() > Date.now()])).toEqual(Array.from({ length: 3 }, () => [true, 0, true]));
    await desk.become(person, { nextAt: new Date(0) });
    // Several workers at a time make one mail of it.
    await Promise.all([desk.send(), desk.send(), desk.send(), desk.send()]);
    expect((await desk.settled(person)).map(({ state }) => state)).toEqual(['sent', 'sent', 'sent']);
    const [mail, ...others] = messenger.to(person);
    expect(others).toEqual([]);
    expect(mail?.subject).toBe('HealthVision: 3 notifications');
    for (const id of ids) expect(mail?.text).toContain(`${BASE}/notifications/${id}`);
    expect(mail?.text).toContain('A result is ready: 2');
  });

  it('that nobody wants any more is not sent, and one that is wanted at once does not wait', async () => {
    const person = await messenger.person('technician');
    await desk.choose(person, { email: { [RESULT_READY]: 'digest', [ANALYSIS_FAILED]: 'digest' } });
    await messenger.notify(RESULT_READY);
    await messenger.notify(ANALYSIS_FAILED);
    await desk.choose(person, { email: { [ANALYSIS_FAILED]: 'immediately' } });
    const all = await desk.settled(person);
    expect(all.map(({ state, failure }) => [state, failure])).toEqual([['skipped', 'not-wanted'], ['sent', null]]);
    expect(messenger.to(person)).toHaveLength(1);
  });
});

describe('a mail', () => {
  it('goes out once, whoever else is sending, and although the notification is made twice', async () => {
    const person = await messenger.person('technician');
    await desk.choose(person, { email: { [ANALYSIS_FAILED]: 'immediately' } });
    const ids = await Promise.all(Array.from({ length: 12 }, () => messenger.notify()));
    await messenger.house.app.get(FanOutJob).handle({ institutionId, analysisId: uuidv7(), studyInstanceUid: '2.25.1', analysis: 'chest-xray-classification', resultId: null }, { ...NO_CONTEXT, jobId: ids[0] ?? '', topic: ANALYSIS_FAILED });
    await Promise.all([desk.send(), desk.send(), desk.send(), desk.send()]);
    await desk.settled(person);
    const mails = messenger.to(person);
    expect(mails).toHaveLength(12);
    expect(new Set(mails.map(({ messageId }) => messageId)).size).toBe(12);
    expect(ids.every((id) => mails.some(({ text }) => text.includes(id)))).toBe(true);
  });
});
