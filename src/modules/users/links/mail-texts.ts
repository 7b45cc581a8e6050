import type { Language } from '../../../kernel/errors.js';
import type { MailKind } from './mail-requested.js';

export interface MailFacts {
  displayName: string;
  institution: string;
  /** Where people sign in, or the link of the mail. */
  url: string;
}

interface MailText {
  subject: string;
  /** Paragraphs between the greeting and the closing. */
  lines: (facts: MailFacts) => string[];
}

const TEXTS: Record<Language, Record<MailKind, MailText> & { greeting: (name: string) => string; closing: string }> = {
  'en': {
    'greeting': (name) => `Hello ${name},`,
    'closing': 'HealthVision. This mail was sent by a machine; nobody reads answers to it.',
    'invitation': {
      subject: 'Your invitation to HealthVision',
      lines: ({ institution, url }) => [`${institution} invites you to HealthVision. Choose a password here:`, url, 'The link is good for 7 days, and for one use. If you expect no invitation, forget this mail.'],
    },
    'password-reset': {
      subject: 'A new password for HealthVision',
      lines: ({ url }) => ['Somebody asked for a new password for your account. Choose it here:', url, 'The link is good for one hour, and for one use. If it was not you, forget this mail: your password stays as it is.'],
    },
    'password-changed': {
      subject: 'Your password was changed',
      lines: ({ url }) => ['Your password for HealthVision was changed just now, and your other sign-ins were ended.', 'If it was not you, tell your administrator at once, and ask for a new password here:', url],
    },
    'second-factor-added': {
      subject: 'A second factor was set up',
      lines: ({ url }) => ['From now on, signing in to HealthVision asks for a code of your authenticator app.', 'If it was not you, tell your administrator at once.', url],
    },
    'second-factor-removed': {
      subject: 'Your second factor was removed',
      lines: ({ url }) => ['Signing in to HealthVision does not ask for a code any more.', 'If it was neither you nor your administrator, tell them at once.', url],
    },
  },
  'zh-CN': {
    'greeting': (name) => `${name}，您好：`,
    'closing': 'HealthVision。本邮件由系统自动发送，请勿回复。',
    'invitation': {
      subject: 'HealthVision 邀请',
      lines: ({ institution, url }) => [`${institution} 邀请您使用 HealthVision。请在此设置密码：`, url, '链接 7 天内有效，仅可使用一次。如果这不是您期待的邀请，请忽略本邮件。'],
    },
    'password-reset': {
      subject: '重置 HealthVision 密码',
      lines: ({ url }) => ['有人请求为您的账户设置新密码。请在此设置：', url, '链接一小时内有效，仅可使用一次。如果不是您本人操作，请忽略本邮件，您的密码不会改变。'],
    },
    'password-changed': {
      subject: '您的密码已更改',
      lines: ({ url }) => ['您的 HealthVision 密码刚刚已更改，其他登录已结束。', '如果不是您本人操作，请立即联系管理员，并在此重置密码：', url],
    },
    'second-factor-added': {
      subject: '已设置双因素验证',
      lines: ({ url }) => ['今后登录 HealthVision 时需要输入身份验证器应用中的验证码。', '如果不是您本人操作，请立即联系管理员。', url],
    },
    'second-factor-removed': {
      subject: '双因素验证已移除',
      lines: ({ url }) => ['今后登录 HealthVision 时不再需要验证码。', '如果不是您本人或管理员操作，请立即联系管理员。', url],
    },
  },
};

/** Subject and text of a mail, for somebody who may never have heard of us. */
export function mailText(kind: MailKind, language: Language, facts: MailFacts): { subject: string; text: string } {
  const { greeting, closing, [kind]: { subject, lines } } = TEXTS[language];
  return { subject, text: `${[greeting(facts.displayName), ...lines(facts), `--\n${closing}`].join('\n\n')}\n` };
}
