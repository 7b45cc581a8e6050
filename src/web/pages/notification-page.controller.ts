import { Controller, Get, Param, Req, Res } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { isUuid } from '../../kernel/uid.js';
import { NotificationTargets } from '../../modules/notifications/notifications.contract.js';
import { Authenticator, Public } from '../../platform/http/access.js';
import { readerOf } from './reader.js';

/** Where e-mails lead: an id of ours in the link, and only to those who are signed in the study behind it. */
@ApiExcludeController()
@Public()
@Controller('notifications')
export class NotificationPageController {
  constructor(
    private readonly authenticator: Authenticator,
    private readonly targets: NotificationTargets,
  ) {}

  /** To the viewer; to the worklist for what is about no study, or is not there (any more). */
  @Get(':id')
  async open(@Param('id') id: string, @Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const reader = await readerOf(this.authenticator, request, reply);
    if (!reader) return;
    const study = isUuid(id) ? await this.targets.studyOf(reader.institutionId, id, reader.permissions) : undefined;
    void reply.header('Cache-Control', 'no-store').redirect(typeof study === 'string' ? `/viewer/viewer?StudyInstanceUIDs=${encodeURIComponent(study)}` : '/', 303);
  }
}
