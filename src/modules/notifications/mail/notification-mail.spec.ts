import { describe, expect, it } from 'vitest';
import { NOTIFIED_TOPICS } from '../topics.js';
import { notificationMail, type MailContent } from './notification-mail.js';

const ID = '0198c0de-4b00-7d2a-8c11-5e4f3a2b1c0d';
const reader = (language: 'en' | 'zh-CN' | null) => ({ displayName: 'Dr. <b>Ada</b> & "Co"', language, baseUrl: 'https://imaging.hospital.test' });
const CONTENTS: MailContent[] = [
  ...NOTIFIED_TOPICS.map((topic) => ({ kind: 'notification', topic, notificationId: ID }) as const),
  { kind: 'escalation', notificationId: ID, minutes: 15 },
  { kind: 'digest', items: [{ topic: 'result.ready', notificationId: ID }] },
];

describe('a mail about notifications', () => {
  it.each(CONTENTS)('says in both languages what it is about, and leads to its page: %o', (content) => {
    const [english, chinese, both] = [notificationMail(content, reader('en')), notificationMail(content, reader('zh-CN')), notificationMail(content, reader(null))];
    for (const { text, html } of [english, chinese, both]) for (const body of [text, html]) expect(body).toContain(`https://imaging.hospital.test/notifications/${ID}`);
    expect(english.text).not.toMatch(/\p{Script=Han}/u);
    expect(chinese.text.replaceAll(/https?:\S+/g, '')).toMatch(/您好/u);
    expect(both.text).toContain(english.text.trim());
    expect(both.text).toContain(chinese.text.trim());
    expect(both.subject).toBe(`${english.subject} / ${chinese.subject}`);
  });

  it('takes nobody’s name for markup', () => {
    const { html } = notificationMail({ kind: 'escalation', notificationId: ID, minutes: 1 }, reader('en'));
    expect(html).toContain('Dr. &lt;b&gt;Ada&lt;/b&gt; &amp; &quot;Co&quot;');
    expect(html).not.toContain('<b>');
    expect(html).not.toMatch(/<(img|script|link|iframe)|url\(/i);
  });

  it('names the first of many, and counts the rest', () => {
    const items = Array.from({ length: 25 }, (_, index) => ({ topic: 'result.ready' as const, notificationId: `${ID.slice(0, -2)}${String(10 + index)}` }));
    const { subject, text } = notificationMail({ kind: 'digest', items }, reader('en'));
    expect(subject).toBe('HealthVision: 25 notifications');
    expect(text.match(/\/notifications\//g)).toHaveLength(20);
    expect(text).toContain('A result is ready: 25');
    expect(text).toContain('… and 5 more.');
  });
});
