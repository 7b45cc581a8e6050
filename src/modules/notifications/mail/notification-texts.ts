import type { Language } from '../../../kernel/errors.js';
import type { NotifiedTopic } from '../topics.js';

/** What a mail says in one language. Never of whom: it crosses machines that are not ours. */
export interface NotificationTexts {
  greeting: (name: string) => string;
  closing: string;
  /** Why they got it, and where that is changed. */
  why: string;
  open: string;
  topics: Readonly<Record<NotifiedTopic, { subject: string; line: string }>>;
  digest: { subject: (count: number) => string; line: string; more: (count: number) => string };
  escalation: { subject: string; line: (minutes: number) => string };
}

export const NOTIFICATION_TEXTS: Readonly<Record<Language, NotificationTexts>> = {
  'en': {
    greeting: (name) => `Hello ${name},`,
    closing: 'HealthVision. This mail was sent by a machine; nobody reads answers to it.',
    why: 'You get this mail because of your notification preferences, or those of your role.',
    open: 'Open it (after signing in):',
    topics: {
      'result.ready': { subject: 'A result is ready', line: 'An analysis has ended, and its result is ready.' },
      'result.critical': { subject: 'A critical result', line: 'A result is critical by the rules of your institution. Please look at it now and acknowledge it.' },
      'result.withheld': { subject: 'A result was withheld', line: 'A result did not pass its checks and is not shown.' },
      'result.reviewed': { subject: 'A result was reviewed', line: 'Somebody has reviewed, amended or signed a result.' },
      'analysis.failed': { subject: 'An analysis failed', line: 'An analysis has ended without a result.' },
      'access.break-glass': { subject: 'Emergency access was taken', line: 'Somebody has taken emergency access. It is to be reviewed.' },
      'webhook.disabled': { subject: 'A webhook was disabled', line: 'A system that is told of events did not take them, and is told of nothing until somebody enables its webhook again.' },
    },
    digest: {
      subject: (count) => (count === 1 ? '1 notification' : `${String(count)} notifications`),
      line: 'This has come in since the last digest:',
      more: (count) => `… and ${String(count)} more.`,
    },
    escalation: {
      subject: 'Nobody has acknowledged a critical result',
      line: (minutes) => `A critical result came in ${minutes === 0 ? 'just now' : minutes === 1 ? '1 minute ago' : `${String(minutes)} minutes ago`}, and nobody has acknowledged it. Your institution has chosen you to be told. Please look at it now and acknowledge it.`,
    },
  },
  'zh-CN': {
    greeting: (name) => `${name}，您好：`,
    closing: 'HealthVision。本邮件由系统自动发送，请勿回复。',
    why: '您收到本邮件，是因为您的通知设置或您角色的默认设置。',
    open: '登录后查看：',
    topics: {
      'result.ready': { subject: '结果已生成', line: '一项分析已完成，结果可供查看。' },
      'result.critical': { subject: '危急结果', line: '根据贵机构的规则，有一项结果为危急结果。请立即查看并确认。' },
      'result.withheld': { subject: '结果已被扣留', line: '一项结果未通过检查，暂不显示。' },
      'result.reviewed': { subject: '结果已审阅', line: '有一项结果已被审阅、修订或签署。' },
      'analysis.failed': { subject: '分析失败', line: '一项分析已结束，但未产生结果。' },
      'access.break-glass': { subject: '有人启用了紧急访问', line: '有人启用了紧急访问，需要复核。' },
      'webhook.disabled': { subject: '一个 Webhook 已被停用', line: '有一个外部系统未能接收事件通知；在重新启用其 Webhook 之前，不会再向它发送通知。' },
    },
    digest: {
      subject: (count) => `${String(count)} 条通知`,
      line: '自上次汇总以来的新通知：',
      more: (count) => `……另有 ${String(count)} 条。`,
    },
    escalation: {
      subject: '危急结果无人确认',
      line: (minutes) => `一项危急结果${minutes === 0 ? '刚刚' : `于 ${String(minutes)} 分钟前`}产生，至今无人确认。贵机构指定由您接收此提醒。请立即查看并确认。`,
    },
  },
};
