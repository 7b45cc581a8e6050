import type { Language } from '../../../kernel/errors.js';
import type { NotifiedTopic } from '../topics.js';
import { NOTIFICATION_TEXTS, type NotificationTexts } from './notification-texts.js';

/** What a mail is about: ids and times only. */
export type MailContent =
  | { kind: 'notification'; topic: NotifiedTopic; notificationId: string }
  | { kind: 'escalation'; notificationId: string; minutes: number }
  | { kind: 'digest'; items: readonly { topic: NotifiedTopic; notificationId: string }[] };

export interface MailReader {
  displayName: string;
  /** null: both. */
  language: Language | null;
  /** Where the installation is, without a slash at the end. */
  baseUrl: string;
}

/** A digest names this many of each topic. */
const MOST_LINKS = 20;

type Block = { text: string } | { link: string };

/** A notification as its page shows it. */
export function notificationUrl(baseUrl: string, notificationId: string): string {
  return `${baseUrl}/notifications/${notificationId}`;
}

/** Subject, text and the same as HTML. */
export function notificationMail(content: MailContent, { displayName, language, baseUrl }: MailReader): { subject: string; text: string; html: string } {
  const languages: readonly Language[] = language === null ? ['en', 'zh-CN'] : [language];
  const parts = languages.map((one) => ({ language: one, subject: subjectOf(content, NOTIFICATION_TEXTS[one]), blocks: blocksOf(content, NOTIFICATION_TEXTS[one], { displayName, baseUrl }) }));
  return {
    subject: parts.map(({ subject }) => subject).join(' / '),
    text: `${parts.map(({ blocks }) => blocks.map((block) => ('link' in block ? block.link : block.text)).join('\n\n')).join('\n\n\n')}\n`,
    html: `<!doctype html>\n<html lang="${languages[0] ?? 'en'}"><head><meta charset="utf-8"><title>${escaped(parts[0]?.subject ?? '')}</title></head>\n<body style="font-family: sans-serif; line-height: 1.5; max-width: 40em">\n${
      parts.map((part) => `<div lang="${part.language}">\n${part.blocks.map(htmlOf).join('\n')}\n</div>`).join('\n<hr>\n')}\n</body></html>\n`,
  };
}

function subjectOf(content: MailContent, texts: NotificationTexts): string {
  switch (content.kind) {
    case 'notification': return `HealthVision: ${texts.topics[content.topic].subject}`;
    case 'escalation': return `HealthVision: ${texts.escalation.subject}`;
    case 'digest': return `HealthVision: ${texts.digest.subject(content.items.length)}`;
  }
}

function blocksOf(content: MailContent, texts: NotificationTexts, { displayName, baseUrl }: Pick<MailReader, 'displayName' | 'baseUrl'>): Block[] {
  const open = (notificationId: string): Block[] => [{ text: texts.open }, { link: notificationUrl(baseUrl, notificationId) }];
  return [{ text: texts.greeting(displayName) }, ...middle(), { text: `--\n${texts.closing}` }];

  function middle(): Block[] {
    switch (content.kind) {
      case 'notification': return [{ text: texts.topics[content.topic].line }, ...open(content.notificationId), { text: texts.why }];
      case 'escalation': return [{ text: texts.escalation.line(content.minutes) }, ...open(content.notificationId)];
      case 'digest': return [{ text: texts.digest.line }, ...byTopic(content.items, texts, baseUrl), { text: texts.why }];
    }
  }
}

function byTopic(items: readonly { topic: NotifiedTopic; notificationId: string }[], texts: NotificationTexts, baseUrl: string): Block[] {
  const groups = new Map<NotifiedTopic, string[]>();
  for (const { topic, notificationId } of items) groups.set(topic, [...(groups.get(topic) ?? []), notificationId]);
  return [...groups].flatMap(([topic, ids]) => [
    { text: `${texts.topics[topic].subject}: ${String(ids.length)}` },
    ...ids.slice(0, MOST_LINKS).map((id) => ({ link: notificationUrl(baseUrl, id) })),
    ...(ids.length > MOST_LINKS ? [{ text: texts.digest.more(ids.length - MOST_LINKS) }] : []),
  ]);
}

function htmlOf(block: Block): string {
  if ('link' in block) return `<p><a href="${escaped(block.link)}">${escaped(block.link)}</a></p>`;
  return `<p>${escaped(block.text).replaceAll('\n', '<br>')}</p>`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
