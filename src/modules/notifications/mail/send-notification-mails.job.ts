import { Inject, Injectable } from '@nestjs/common';
import { derivedUuidv7 } from '../../../kernel/uid.js';
import { CONFIG, type Config } from '../../../platform/config.js';
import { Mailer } from '../../../platform/mail/mailer.js';
import { refusalOf } from '../../../platform/mail/refusal.js';
import { publicUrl } from '../../../platform/mail/public-url.js';
import { LOGGER, type Logger } from '../../../platform/ops/logger.js';
import { Metrics } from '../../../platform/ops/metrics.js';
import { JobHandler, type JobContext } from '../../../platform/queue/job.js';
import type { Person } from '../../users/users.contract.js';
import type { Preferences } from '../preferences/preferences.js';
import { CRITICAL_TOPICS, NOTIFIED_TOPICS, type NotifiedTopic } from '../topics.js';
import { Announcements, mayBeTold } from './announcements.service.js';
import { MailsStore, type ClaimedMail, type NotificationMailsDue } from './mails.store.js';
import { afterQuiet, isQuiet } from './moments.js';
import { notificationMail, type MailContent } from './notification-mail.js';

/** 30 s, a minute, two, … six hours: three days in all. */
const FIRST_WAIT_MS = 30_000;
const LONGEST_WAIT_MS = 6 * 3_600_000;
export const MOST_TRIES = 21;
/** A relay that is away is asked again by the next run. */
const MOST_FAILURES = 3;

type Topical = ClaimedMail & { topic: NotifiedTopic };

/**
 * Sends the mails of notifications that are due, on a timer and when some come in. A mail goes out once; after a crash between relay and row once
 * more, under the same Message-ID.
 */
@Injectable()
export class SendNotificationMailsJob extends JobHandler<NotificationMailsDue> {
  private readonly baseUrl: string;

  constructor(
    @Inject(CONFIG) config: Config,
    private readonly mails: MailsStore,
    private readonly announcements: Announcements,
    private readonly mailer: Mailer,
    private readonly metrics: Metrics,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    super();
    this.baseUrl = publicUrl(config);
  }

  async handle(_: NotificationMailsDue, { closing, signal }: Pick<JobContext, 'closing' | 'signal'>): Promise<void> {
    let failures = 0;
    for (const claim of [async () => { const mail = await this.mails.claim(); return mail && [mail]; }, () => this.mails.claimDigest()]) {
      for (;;) {
        if (closing?.aborted === true || signal.aborted || failures >= MOST_FAILURES) return;
        const claimed = await claim();
        if (claimed === undefined) break;
        failures = (await this.deliver(claimed)) ? 0 : failures + 1;
      }
    }
  }

  /** @param claimed  of one person; several go out in one mail @returns false when the relay did not take it */
  private async deliver(claimed: readonly ClaimedMail[]): Promise<boolean> {
    const [first] = claimed;
    if (!first) return true;
    const recipient = await this.announcements.recipient(first.institutionId, first.userId);
    if (!recipient) {
      await this.mails.finish(claimed, { state: 'skipped', failure: 'not-active' });
      return true;
    }
    const { person, preferences } = recipient;
    const wanted: Topical[] = [];
    for (const mail of claimed) {
      const reason = whyNot(mail, person, preferences);
      if (reason !== undefined) await this.mails.finish([mail], { state: 'skipped', failure: reason });
      else if (isTopical(mail)) wanted.push(mail);
    }
    if (wanted.length === 0) return true;
    // A try that failed comes again at any hour.
    if (isQuiet(first.now, preferences) && wanted.every(({ topic, step }) => step === 0 && !CRITICAL_TOPICS.includes(topic))) {
      await this.mails.postpone(wanted, afterQuiet(first.now, preferences));
      return true;
    }
    return this.send(wanted, person, preferences);
  }

  private async send(mails: readonly Topical[], person: Person, { language }: Preferences): Promise<boolean> {
    const content = contentOf(mails);
    const id = idOf(mails);
    try {
      await this.mailer.send({ id, to: { name: person.displayName, address: person.email }, ...notificationMail(content, { displayName: person.displayName, language, baseUrl: this.baseUrl }) });
    } catch (error) {
      const attempts = Math.max(...mails.map((mail) => mail.attempts));
      const failure = codeOf(error);
      // The relay knows no such address.
      const isRefused = refusalOf(error) === 'address';
      const givenUp = isRefused || attempts >= MOST_TRIES;
      this.metrics.mails.inc({ kind: content.kind, outcome: givenUp ? 'given-up' : 'failed' });
      this.logger.warn({ mailId: id, userId: person.id, code: failure, attempts, givenUp }, 'mail about a notification could not be sent');
      await this.mails.finish(mails, givenUp ? { state: 'given-up', failure } : { state: 'waiting', failure, againAfterMs: Math.min(FIRST_WAIT_MS * 2 ** (attempts - 1), LONGEST_WAIT_MS) });
      return isRefused;
    }
    await this.mails.finish(mails, { state: 'sent' });
    this.metrics.mails.inc({ kind: content.kind, outcome: 'sent' });
    return true;
  }
}

/** Things may have changed since it was to be sent. */
function whyNot(mail: ClaimedMail, person: Person, preferences: Preferences): string | undefined {
  if (!person.isActive) return 'not-active';
  if (!isTopical(mail) || !mayBeTold(person, mail.topic)) return 'not-permitted';
  if (mail.step > 0) return mail.acknowledged ? 'acknowledged' : undefined;
  return preferences.email[mail.topic] === 'off' ? 'not-wanted' : undefined;
}

/** Another version may have written of what this one does not know. */
function isTopical(mail: ClaimedMail): mail is Topical {
  return (NOTIFIED_TOPICS as readonly string[]).includes(mail.topic);
}

function contentOf(mails: readonly Topical[]): MailContent {
  const [first] = mails;
  if (first === undefined || mails.length > 1) return { kind: 'digest', items: mails };
  if (first.step > 0) return { kind: 'escalation', notificationId: first.notificationId, minutes: Math.max(0, Math.round(first.ageSeconds / 60)) };
  return { kind: 'notification', topic: first.topic, notificationId: first.notificationId };
}

/** The same for the same mails alone: a digest that has grown between two tries is another one. */
function idOf(mails: readonly Topical[]): string {
  const ids = mails.map(({ id }) => id).sort();
  return ids.length > 1 ? derivedUuidv7(ids[0] ?? '', ids.join(' ')) : (ids[0] ?? '');
}

/** Never what the relay said: it may quote the mail. */
function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && /^[A-Z]{2,20}$/.test(error.code) ? error.code : 'failed';
}
