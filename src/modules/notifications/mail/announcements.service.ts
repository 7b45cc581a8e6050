import { Inject, Injectable } from '@nestjs/common';
import type { Transaction } from '../../../kernel/transaction.js';
import { CONFIG, type Config } from '../../../platform/config.js';
import { RESULT_CRITICAL } from '../../analysis/analysis.contract.js';
import { People, type Person } from '../../users/users.contract.js';
import { EscalationsStore } from '../escalation/escalations.store.js';
import { MAIL_WAYS, rolesToldOf, type Preferences } from '../preferences/preferences.js';
import { PreferencesStore } from '../preferences/preferences.store.js';
import { CRITICAL_TOPICS, hiddenTopics, NOTIFIED_TOPICS, type NotifiedTopic } from '../topics.js';
import { MailsStore } from './mails.store.js';
import { dueAt } from './moments.js';

/** Who wants to be told of a topic, and how. */
export interface Subscriber {
  userId: string;
  preferences: Preferences;
}

/** Decides who is told of a notification beyond its list, and when. */
@Injectable()
export class Announcements {
  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly people: People,
    private readonly preferences: PreferencesStore,
    private readonly mails: MailsStore,
    private readonly escalations: EscalationsStore,
  ) {}

  /** Before the transaction of the notification, which must not wait for another connection. */
  async subscribers(institutionId: string, topic: NotifiedTopic): Promise<Subscriber[]> {
    const [chosen, byRole] = await Promise.all([
      this.preferences.subscribers(institutionId, topic).then((ids) => this.people.withIds(institutionId, ids)),
      // Without a relay mails become files, which nobody has asked for.
      this.config.SMTP_URL === undefined ? [] : this.people.withRoles(institutionId, rolesToldOf(topic)),
    ]);
    const people = new Map([...chosen, ...byRole].filter((person) => mayBeTold(person, topic)).map((person) => [person.id, person]));
    const preferences = await this.preferences.of(institutionId, [...people.values()]);
    return [...preferences].map(([userId, theirs]) => ({ userId, preferences: theirs })).filter((subscriber) => subscriber.preferences.email[topic] !== 'off');
  }

  /** In the transaction of the notification: one mail for each, and the chain begins where it is a critical result. */
  async announce(tx: Transaction, { institutionId, id: notificationId, topic }: { institutionId: string; id: string; topic: NotifiedTopic }, subscribers: readonly Subscriber[]): Promise<void> {
    if (topic === RESULT_CRITICAL) await this.escalations.start(tx, institutionId, notificationId);
    if (subscribers.length === 0) return;
    const now = await this.mails.now(tx);
    await this.mails.add(tx, { institutionId, notificationId, step: 0, now }, subscribers.map(({ userId, preferences }) => {
      const way = preferences.email[topic];
      return { userId, digest: way === 'digest', nextAt: dueAt(now, topic, way === 'digest' ? 'digest' : 'immediately', preferences) };
    }));
  }

  /** Somebody, and what they want now. */
  async recipient(institutionId: string, userId: string): Promise<{ person: Person; preferences: Preferences } | undefined> {
    const [person] = await this.people.withIds(institutionId, [userId]);
    const preferences = person && (await this.preferences.of(institutionId, [person])).get(person.id);
    return person && preferences && { person, preferences };
  }

  /** What waits for somebody follows what they want from now on. */
  async reschedule(tx: Transaction, institutionId: string, userId: string, preferences: Preferences): Promise<void> {
    const now = await this.mails.now(tx);
    for (const way of MAIL_WAYS) {
      for (const critical of [true, false]) {
        const topics = NOTIFIED_TOPICS.filter((topic) => preferences.email[topic] === way && CRITICAL_TOPICS.includes(topic) === critical);
        const [topic] = topics;
        if (topic !== undefined) await this.mails.reschedule(tx, { institutionId, userId, topics }, way === 'off' ? undefined : { digest: way === 'digest', nextAt: dueAt(now, topic, way, preferences) });
      }
    }
    await this.mails.wake(tx, institutionId);
  }
}

/** Somebody who can sign in and see it there. */
export function mayBeTold({ isActive, permissions }: Person, topic: string): boolean {
  return isActive && permissions.has('notifications:read') && !hiddenTopics(permissions).includes(topic);
}
