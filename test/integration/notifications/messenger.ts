import type { ModuleMetadata } from '@nestjs/common';
import { uuidv7 } from '../../../src/kernel/uid.js';
import { ANALYSIS_FAILED, type AnalysisEnded } from '../../../src/modules/analysis/analysis.contract.js';
import { FanOutJob } from '../../../src/modules/notifications/fan-out.job.js';
import { SendNotificationMailsJob } from '../../../src/modules/notifications/mail/send-notification-mails.job.js';
import { ADMIN, eventually } from '../../support/product.js';
import { openHouse, type House } from '../results/house.js';
import { call, signIn } from '../users/house.js';
import { openMailbox, parsed, type Mailbox, type ReceivedMail } from '../users/mailbox.js';

export const BASE = 'https://imaging.hospital.test';

export interface Person {
  id: string;
  email: string;
  /** Signs in when it is first asked for. */
  token(): Promise<string>;
}

/** Somebody asks the API. */
export type Ask = (person: Pick<Person, 'token'>, method: string, path: string, body?: unknown, headers?: Record<string, string>) => Promise<{ status: number; body: Record<string, unknown>; headers: Headers }>;

export interface Messenger {
  house: House;
  mailbox: Mailbox;
  administrator: Pick<Person, 'token'>;
  ask: Ask;
  person(role: string, more?: Record<string, string>): Promise<Person>;
  /** Makes a notification at once, as the job does. @returns its id */
  notify(topic?: string, more?: Partial<AnalysisEnded>): Promise<string>;
  /** Mails to somebody. */
  to(person: Pick<Person, 'email'>): OpenedMail[];
  close(): Promise<void>;
}

export interface OpenedMail extends ReceivedMail {
  subject: string;
  html: string;
  messageId: string;
}

export const NO_CONTEXT = { attempt: 1, signal: new AbortController().signal };

/** Everything but the analysis, with a mail relay. */
export async function openMessenger(imports: NonNullable<ModuleMetadata['imports']> = [], variables: Record<string, string> = {}): Promise<Messenger> {
  const mailbox = await openMailbox();
  const house = await openHouse({ imports, variables: { SMTP_URL: mailbox.url, PUBLIC_URL: `${BASE}/`, MAIL_FROM: 'HealthVision <noreply@hospital.test>', ...variables } });
  const administrator = { token: () => Promise.resolve(house.token) };
  const { passwordHash } = await house.owner.user.findFirstOrThrow({ where: { email: ADMIN.email } });
  const ask: Ask = async ({ token }, method, path, body, headers) => call(await token(), method, `${house.url}/api/v1${path}`, body, headers);
  return {
    house, mailbox, administrator, ask,
    person: async (role, more = {}) => {
      // With the administrator's password: making one anew takes its time.
      const { id, email } = await house.owner.user.create({ data: { id: uuidv7(), email: `${role}.${uuidv7()}@people.test`, displayName: 'Dr. Ada Lovelace', role, passwordHash, institutionId: house.institutionId, ...more } });
      let signedIn: Promise<string> | undefined;
      return { id, email, token: () => (signedIn ??= signIn(house.url, email).then((tokens) => tokens.access_token)) };
    },
    notify: async (topic = ANALYSIS_FAILED, more = {}) => {
      const jobId = uuidv7();
      await house.app.get(FanOutJob).handle({ institutionId: house.institutionId, analysisId: uuidv7(), studyInstanceUid: '2.25.4711', analysis: 'chest-xray-classification', resultId: null, ...more }, { ...NO_CONTEXT, jobId, topic });
      return jobId;
    },
    to: ({ email }) => mailbox.mails.filter((mail) => mail.to.includes(email)).map(opened),
    close: async () => {
      await house.close();
      await mailbox.close();
    },
  };
}

/** What a person's mails do, and what makes them do it. */
export function mailDesk({ house, ask }: Messenger) {
  const rows = (person: Person) => house.owner.notificationMail.findMany({ where: { userId: person.id }, orderBy: { id: 'asc' } });
  /** Sends what is due, as the timer does. */
  const send = (): Promise<void> => house.app.get(SendNotificationMailsJob).handle({ institutionId: house.institutionId }, NO_CONTEXT);
  return {
    rows, send,
    choose: async (person: Person, body: Record<string, unknown>): Promise<void> => {
      const { status, body: answer } = await ask(person, 'PUT', '/notification-preferences', { timeZone: 'UTC', ...body });
      if (status !== 200) throw new Error(JSON.stringify(answer));
    },
    become: (person: Person, data: { nextAt?: Date; attempts?: number; digest?: boolean; claimId?: string }) => house.owner.notificationMail.updateMany({ where: { userId: person.id }, data }),
    settled: (person: Person) => eventually('the mails to be settled', async () => { await send(); const all = await rows(person); return all.length > 0 && all.every(({ state }) => state !== 'waiting') && all; }),
  };
}

/** Both parts of a mail, and its subject, decoded. */
export function opened(mail: ReceivedMail): OpenedMail {
  const boundary = /boundary="([^"]+)"/.exec(mail.raw)?.[1];
  const header = (name: string): string => mail.headers.find((line) => line.toLowerCase().startsWith(`${name}:`))?.slice(name.length + 1).trim() ?? '';
  const parts = boundary === undefined ? [] : mail.raw.split(`--${boundary}`).map((part) => parsed(part.replace(/^\r?\n/, '')));
  const part = (type: string): string => parts.find(({ headers }) => headers.some((line) => line.toLowerCase().startsWith(`content-type: ${type}`)))?.text ?? '';
  return { ...mail, subject: decodedWords(header('subject')), messageId: header('message-id'), text: part('text/plain'), html: part('text/html') };
}

/** RFC 2047. */
function decodedWords(text: string): string {
  return text.replaceAll(/\?=\s+=\?/g, '?==?').replaceAll(/=\?UTF-8\?([BQ])\?([^?]*)\?=/gi, (_, encoding: string, word: string) =>
    encoding.toUpperCase() === 'B' ? Buffer.from(word, 'base64').toString() : Buffer.from(word.replaceAll('_', ' ').replaceAll(/=([0-9A-F]{2})/gi, (__, hex: string) => String.fromCharCode(parseInt(hex, 16))), 'latin1').toString());
}
