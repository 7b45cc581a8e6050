import { Controller, Headers, type MessageEvent } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { Observable } from 'rxjs';
import { isUuid } from '../../kernel/uid.js';
import { CurrentPrincipal, RequirePermission, type Principal } from '../../platform/http/access.js';
import { EventStream } from '../../platform/http/event-stream.js';
import { Operation, serverSentEvent } from '../../platform/http/openapi.js';
import { EventFeed } from './event-feed.service.js';
import { subjectExample } from './notifications.controller.js';
import { hiddenTopics } from './topics.js';

@ApiTags('notifications')
@RequirePermission('notifications:read')
@Controller('api/v1/events')
export class EventsController {
  constructor(private readonly feed: EventFeed) {}

  @EventStream()
  @Operation({
    id: 'watchEvents',
    summary: 'Follow notifications as they come in',
    description: 'Server-sent events: the name is the topic, the id that of the notification, the data a NotificationSubject. With `Last-Event-ID` the stream begins after that notification, up to seven days back, on whichever process answers; an event may then come twice, with the same id. Without it a comment `following`, with an id to come back with, says from where on nothing is missed. A comment comes every 15 seconds. The stream ends after 15 minutes, and within half a minute when its caller may not watch any more or may see less: connect again.',
    answers: { 200: { description: 'The stream', mediaType: 'text/event-stream', schema: serverSentEvent, example: { event: 'result.ready', id: '0198c0de-4b00-7d2a-8c11-5e4f3a2b1c0d', data: JSON.stringify(subjectExample) } } },
  })
  watch(@CurrentPrincipal() { institutionId, permissions }: Principal, @Headers('last-event-id') lastEventId?: string): Observable<MessageEvent> {
    return this.feed.watch(institutionId, isUuid(lastEventId) ? lastEventId : undefined, hiddenTopics(permissions));
  }
}
