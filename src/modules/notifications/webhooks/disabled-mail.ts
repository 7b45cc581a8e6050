import type { DisabledReason, Webhook } from './webhook.js';

const REASONS: Record<'en' | 'zh', Record<DisabledReason, string>> = {
  en: { gone: 'It answered that it is gone (410).', failing: 'Nothing has reached it for three days.' },
  zh: { gone: '该端点返回 410，表示已不存在。', failing: '三天内没有任何消息成功送达。' },
};

/**
 * In both languages: nobody has said which one an administrator reads. Of the URL only its host is named, because the rest may hold a secret.
 */
export function disabledMail(name: string, { id, url, description }: Pick<Webhook, 'id' | 'url' | 'description'>, reason: DisabledReason): { subject: string; text: string } {
  const { host } = new URL(url);
  const called = description === '' ? host : `${description} (${host})`;
  return {
    subject: 'A webhook was disabled · Webhook 已停用',
    text: `${[
      `Hello ${name},`,
      `HealthVision has disabled the webhook ${called}. ${REASONS.en[reason]}`,
      `Events are kept for 30 days. They are sent when you enable it again: PATCH /api/v1/webhooks/${id} {"enabled": true}`,
      `${name}，您好：`,
      `HealthVision 已停用 Webhook ${called}。${REASONS.zh[reason]}`,
      `事件会保留 30 天。重新启用后将继续发送：PATCH /api/v1/webhooks/${id} {"enabled": true}`,
      '--\nHealthVision. This mail was sent by a machine; nobody reads answers to it.\nHealthVision。本邮件由系统自动发送，请勿回复。',
    ].join('\n\n')}\n`,
  };
}
