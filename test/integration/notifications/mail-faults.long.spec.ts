import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uuidv7 } from '../../../src/kernel/uid.js';
import { ANALYSIS_FAILED, RESULT_READY } from '../../../src/modules/analysis/analysis.contract.js';
import { MailsStore } from '../../../src/modules/notifications/mail/mails.store.js';
import { MOST_TRIES } from '../../../src/modules/notifications/mail/send-notification-mails.job.js';
import { WebModule } from '../../../src/web/web.module.js';
import { ADMIN, eventually } from '../../support/product.js';
import { mailDesk, openMessenger, type Messenger } from './messenger.js';

let messenger: Messenger;
let desk: ReturnType<typeof mailDesk>;
beforeAll(async () => {
  messenger = await openMessenger([WebModule]);
  desk = mailDesk(messenger);
});
afterAll(async () => { await messenger.close(); });


describe('a mail', () => {
  it('is tried again ever more seldom while the relay is away, and given up after three days', async () => {
    const person = await messenger.person('technician');
    await desk.choose(person, { email: { [ANALYSIS_FAILED]: 'immediately' } });
    messenger.mailbox.away = true;
    await messenger.notify();
    const first = await eventually('a try', async () => { await desk.send(); const [row] = await desk.rows(person); return row?.failure !== null && row; });
    expect([first.state, first.attempts, first.claimId]).toEqual(['waiting', 1, null]);
    expect(first.nextAt.getTime() - Date.now()).toBeGreaterThan(20_000);
    await desk.become(person, { nextAt: new Date(0), attempts: 9 });
    const later = await eventually('another try', async () => { await desk.send(); const [row] = await desk.rows(person); return row?.attempts === 10 && row.claimId === null && row; });
    expect((later.nextAt.getTime() - Date.now()) / 3_600_000).toBeGreaterThan(4);
    await desk.become(person, { nextAt: new Date(0), attempts: MOST_TRIES - 1 });
    expect((await desk.settled(person)).map(({ state }) => state)).toEqual(['given-up']);
    messenger.mailbox.away = false;
    await desk.become(person, { nextAt: new Date(0) });
    await desk.send();
    expect(messenger.to(person)).toEqual([]);
  });

  it('to an address that the relay does not know is given up at once', async () => {
    const person = await messenger.person('technician');
    await desk.choose(person, { email: { [ANALYSIS_FAILED]: 'immediately' } });
    messenger.mailbox.unknown.add(person.email);
    await messenger.notify();
    expect((await desk.settled(person)).map(({ state, failure, attempts }) => [state, failure, attempts])).toEqual([['given-up', 'EENVELOPE', 1]]);
  });

  it('of a worker that died is sent by another one, and the first has no say any more', async () => {
    const person = await messenger.person('technician');
    await desk.choose(person, { email: { [RESULT_READY]: 'digest' } });
    await messenger.notify(RESULT_READY);
    // What a worker leaves that dies while it sends.
    const claimId = uuidv7();
    await desk.become(person, { digest: false, attempts: 1, claimId, nextAt: new Date(Date.now() + 60_000) });
    await desk.send();
    expect(messenger.to(person)).toEqual([]);
    await desk.become(person, { nextAt: new Date(0) });
    await desk.settled(person);
    const [sent] = await desk.rows(person);
    await messenger.house.app.get(MailsStore).finish([{ id: sent?.id ?? '', claimId }], { state: 'given-up', failure: 'dead' });
    expect((await desk.rows(person)).map(({ state }) => state)).toEqual(['sent']);
    expect(messenger.to(person)).toHaveLength(1);
  });

  it('is not sent to whoever was disabled meanwhile, nor about what they may not see', async () => {
    const [gone, demoted] = [await messenger.person('radiologist'), await messenger.person('admin')];
    await desk.choose(gone, { email: { [ANALYSIS_FAILED]: 'digest' } });
    await desk.choose(demoted, { email: { 'access.break-glass': 'immediately', [ANALYSIS_FAILED]: 'digest' } });
    await messenger.notify();
    await messenger.ask(messenger.administrator, 'DELETE', `/users/${gone.id}`);
    await messenger.ask(messenger.administrator, 'PATCH', `/users/${demoted.id}`, { role: 'auditor' });
    for (const person of [gone, demoted]) await desk.become(person, { nextAt: new Date(0) });
    expect((await desk.settled(gone)).map(({ state, failure }) => [state, failure])).toEqual([['skipped', 'not-active']]);
    expect((await desk.settled(demoted)).map(({ state, failure }) => [state, failure])).toEqual([['skipped', 'not-permitted']]);
    await messenger.notify();
    expect(await desk.rows(gone)).toHaveLength(1);
  });

  it('goes with the notification that it is about', async () => {
    const person = await messenger.person('technician');
    await desk.choose(person, { email: { [ANALYSIS_FAILED]: 'digest' } });
    const id = await messenger.notify();
    expect(await desk.rows(person)).toHaveLength(1);
    await messenger.house.owner.notification.delete({ where: { id } });
    expect(await desk.rows(person)).toEqual([]);
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
    const session = await fetch(`${messenger.house.url}/session`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ email: person.email, password: ADMIN.password }) });
    const cookie = session.headers.getSetCookie().map((text) => text.split(';')[0]).join('; ');
    expect(await open(`/notifications/${id}`, cookie)).toEqual([303, '/viewer/viewer?StudyInstanceUIDs=2.25.815']);
    const foreign = uuidv7();
    await messenger.house.owner.notification.create({ data: { id: foreign, institutionId: uuidv7(), topic: RESULT_READY, subject: { studyInstanceUid: '2.25.9' } } });
    for (const path of [foreign, uuidv7(), 'nonsense', '..%2F..']) expect(await open(`/notifications/${path}`, cookie)).toEqual([303, '/']);
  });
});
