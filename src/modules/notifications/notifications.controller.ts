import { Controller, Get, Param, Post, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { AppError } from '../../kernel/errors.js';
import { CurrentPrincipal, RequirePermission, type Principal } from '../../platform/http/access.js';
import { Operation } from '../../platform/http/openapi.js';
import { pageOf, pageQuery, pageSchema, type Page } from '../../platform/http/page.js';
import { EscalationMetrics } from './escalation/escalation-metrics.js';
import { EscalationsStore } from './escalation/escalations.store.js';
import { InboxStore, MOST_UNREAD, type InboxRecord, type Reader } from './reading/inbox.store.js';
import { hiddenTopics, NOTIFIED_TOPICS } from './topics.js';

export const subjectSchema = z
  .union([
    z.object({ analysis: z.string(), analysisId: z.uuid(), resultId: z.uuid().nullable(), studyInstanceUid: z.string() }).meta({ description: 'A run or its result' }),
    z.object({ breakGlassId: z.uuid(), userId: z.uuid() }).meta({ description: 'Emergency access, of `access.break-glass`' }),
    z.object({ webhookId: z.uuid() }).meta({ description: 'A webhook that the product has disabled, of `webhook.disabled`' }),
  ])
  .meta({ id: 'NotificationSubject', description: 'What it is about: ids only' });

const notificationSchema = z
  .object({
    id: z.uuid(),
    topic: z.enum(NOTIFIED_TOPICS),
    critical: z.boolean(),
    subject: subjectSchema,
    createdAt: z.string().meta({ format: 'date-time' }),
    acknowledgedAt: z.string().meta({ format: 'date-time' }).nullable(),
    acknowledgedBy: z.uuid().nullable().meta({ description: 'The user' }),
    readAt: z.string().meta({ format: 'date-time' }).nullable().meta({ description: 'When the caller read it; null again after the escalation chain has called for them' }),
    calledAt: z.string().meta({ format: 'date-time' }).nullable().meta({ description: 'When the escalation chain called for the caller' }),
  })
  .meta({ id: 'Notification', description: 'Something that people should know' });

type NotificationJson = z.infer<typeof notificationSchema>;

const listQuery = z.strictObject({
  ...pageQuery.shape,
  acknowledged: z.enum(['true', 'false']).transform((text) => text === 'true').optional().meta({ description: 'Only acknowledged ones, or only open ones', example: 'false' }),
  read: z.enum(['true', 'false']).transform((text) => text === 'true').optional().meta({ description: 'Only those that the caller has read, or only unread ones', example: 'false' }),
  topic: z.enum(NOTIFIED_TOPICS).optional().meta({ description: 'Only of this topic', example: 'result.critical' }),
});

export const subjectExample = {
  analysis: 'chest-xray-classification',
  analysisId: '0198c0de-4a10-7b11-8a01-0c9d8e7f6a5b',
  resultId: '0198c0de-4a10-7c3e-9d52-6f0f1c2b3a49',
  studyInstanceUid: '2.25.314159265358979323846264338327950288',
} satisfies z.infer<typeof subjectSchema>;

const example: NotificationJson = {
  id: '0198c0de-4b00-7d2a-8c11-5e4f3a2b1c0d', topic: 'result.ready', critical: false, subject: subjectExample,
  createdAt: '2026-11-21T10:00:00.120Z', acknowledgedAt: null, acknowledgedBy: null, readAt: null, calledAt: null,
};

const unreadSchema = z
  .object({ unread: z.number().int(), critical: z.number().int().meta({ description: 'Of these, critical ones that nobody has acknowledged' }) })
  .meta({ id: 'UnreadNotifications', description: `Counted to ${String(MOST_UNREAD)}` });
type UnreadJson = z.infer<typeof unreadSchema>;

@ApiTags('notifications')
@RequirePermission('notifications:read')
@Controller('api/v1/notifications')
export class NotificationsController {
  constructor(
    private readonly inbox: InboxStore,
    private readonly escalations: EscalationsStore,
    private readonly metrics: EscalationMetrics,
  ) {}

  @Get()
  @Operation({
    id: 'listNotifications',
    summary: 'List notifications, newest first',
    description: 'Emergency access (`access.break-glass`) is shown to those who may read the audit, a disabled webhook (`webhook.disabled`) to those who may read webhooks.',
    answers: { 200: { description: 'A page of notifications', schema: pageSchema(notificationSchema, 'NotificationPage'), example: { items: [example], nextCursor: null } } },
    problems: ['invalid-query'],
  })
  async list(@Query({ schema: listQuery }) { limit, cursor, ...filter }: z.infer<typeof listQuery>, @CurrentPrincipal() principal: Principal): Promise<Page<NotificationJson>> {
    return pageOf(await this.inbox.list(readerOf(principal), filter, limit + 1, cursor), limit, notificationJson);
  }

  @Get('unread')
  @Operation({ id: 'countUnreadNotifications', summary: 'How many notifications the caller has not read', answers: { 200: { description: 'The counts', schema: unreadSchema, example: { unread: 12, critical: 1 } } } })
  async unread(@CurrentPrincipal() principal: Principal): Promise<UnreadJson> {
    return this.inbox.unread(readerOf(principal));
  }

  @Post('read-all')
  @Operation({ id: 'readAllNotifications', summary: 'Mark all notifications as read', description: 'For the caller alone; nothing is acknowledged by it.', answers: { 200: { description: 'What is unread now', schema: unreadSchema, example: { unread: 0, critical: 0 } } } })
  async readAll(@CurrentPrincipal() principal: Principal): Promise<UnreadJson> {
    await this.inbox.markAllRead(readerOf(principal));
    return this.inbox.unread(readerOf(principal));
  }

  @Post(':id/read')
  @Operation({
    id: 'readNotification', summary: 'Mark a notification as read', description: 'For the caller alone; it is not acknowledged by it. The first time stays.',
    answers: { 200: { description: 'The notification', schema: notificationSchema, example: { ...example, readAt: '2026-11-21T10:01:00.000Z' } } }, problems: ['notification-not-found'],
  })
  async read(@Param('id', { schema: z.uuid() }) id: string, @CurrentPrincipal() principal: Principal): Promise<NotificationJson> {
    await this.find(principal, id);
    await this.inbox.markRead(readerOf(principal), id);
    return notificationJson(await this.find(principal, id));
  }

  @Post(':id/acknowledge')
  @Operation({
    id: 'acknowledgeNotification',
    summary: 'Say that a notification was seen',
    description: 'For the whole institution; nobody is told by the escalation chain any more. The first acknowledgement stays; asking again changes nothing.',
    answers: { 200: { description: 'The notification', schema: notificationSchema, example: { ...example, acknowledgedAt: '2026-11-21T10:02:00.000Z', acknowledgedBy: '0198c0de-0001-7000-8000-000000000001', readAt: '2026-11-21T10:02:00.000Z' } } },
    problems: ['notification-not-found'],
  })
  async acknowledge(@Param('id', { schema: z.uuid() }) id: string, @CurrentPrincipal() principal: Principal): Promise<NotificationJson> {
    await this.find(principal, id);
    if (await this.escalations.acknowledge(principal.institutionId, id, principal.userId)) this.metrics.outcomes.inc({ outcome: 'acknowledged' });
    await this.inbox.markRead(readerOf(principal), id);
    return notificationJson(await this.find(principal, id));
  }

  private async find(principal: Principal, id: string): Promise<InboxRecord> {
    const record = await this.inbox.find(readerOf(principal), id);
    if (!record) throw new AppError('notification-not-found');
    return record;
  }
}

function readerOf({ institutionId, userId, permissions }: Principal): Reader {
  return { institutionId, userId, hidden: hiddenTopics(permissions) };
}

function notificationJson({ id, topic, critical, subject, createdAt, acknowledgedAt, acknowledgedBy, readAt, calledAt }: InboxRecord): NotificationJson {
  return {
    id, critical, subject,
    // Only the fan-out writes, and it is fed with these topics.
    topic: topic as NotificationJson['topic'],
    createdAt: createdAt.toISOString(),
    acknowledgedAt: acknowledgedAt?.toISOString() ?? null,
    acknowledgedBy,
    readAt: readAt?.toISOString() ?? null,
    calledAt: calledAt?.toISOString() ?? null,
  };
}
