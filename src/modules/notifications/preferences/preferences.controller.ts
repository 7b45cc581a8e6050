import { Body, Controller, Get, Headers, Put, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { AppError } from '../../../kernel/errors.js';
import { Database } from '../../../platform/database/database.js';
import { CurrentPrincipal, homeOf, RequirePermission, type Principal } from '../../../platform/http/access.js';
import { requireMatch, TakesIfMatch } from '../../../platform/http/if-match.js';
import { Operation } from '../../../platform/http/openapi.js';
import { etagOf } from '../../../platform/http/representation.js';
import { Announcements } from '../mail/announcements.service.js';
import { defaultPreferences, preferencesSchema } from './preferences.js';
import { PreferencesStore, type Owner, type StoredPreferences } from './preferences.store.js';

const answerSchema = z
  .object({ ...preferencesSchema.shape, updatedAt: z.iso.datetime().nullable().meta({ description: 'null: these are those of the role' }) })
  .meta({ id: 'NotificationPreferences', description: 'What a person is told by e-mail, and when' });
type PreferencesJson = z.output<typeof answerSchema>;

const chosen = { ...defaultPreferences('radiologist'), language: 'zh-CN' as const, timeZone: 'Asia/Shanghai', quietHours: { from: '22:00', to: '07:00' } };
const putPreferences = z.strictObject(preferencesSchema.shape).meta({ id: 'PutNotificationPreferences', example: chosen });
const ETAG = { ETag: 'Version of the preferences, for If-Match' };

/** What the caller is told by e-mail. */
@ApiTags('notifications')
@RequirePermission('notifications:read')
@Controller('api/v1/notification-preferences')
export class PreferencesController {
  constructor(
    private readonly preferences: PreferencesStore,
    private readonly announcements: Announcements,
    private readonly database: Database,
  ) {}

  @Get()
  @Operation({
    id: 'getNotificationPreferences', summary: 'What you are told by e-mail',
    description: 'Until you have chosen, radiologists and administrators are told of critical results at once, and nobody of anything else. A key has those of its owner.',
    answers: { 200: { description: 'What holds', schema: answerSchema, example: { ...chosen, updatedAt: null }, headers: ETAG } }, problems: ['user-not-found'],
  })
  async get(@CurrentPrincipal() principal: Principal, @Res({ passthrough: true }) reply: FastifyReply): Promise<PreferencesJson> {
    const owner = ownerOf(principal);
    return answer(owner, await this.preferences.find(homeOf(principal).institutionId, owner), reply);
  }

  @Put()
  @TakesIfMatch()
  @Operation({
    id: 'putNotificationPreferences', summary: 'Choose what you are told by e-mail',
    description: 'Replaces what you chose before; holds for mails that wait, too. What is critical comes at once or not at all, whatever the hour.',
    answers: { 200: { description: 'What holds', schema: answerSchema, example: { ...chosen, updatedAt: '2026-11-21T10:00:00.000Z' }, headers: ETAG } },
    problems: ['invalid-body', 'user-not-found', 'precondition-failed'],
  })
  async put(@CurrentPrincipal() principal: Principal, @Body({ schema: putPreferences }) body: z.output<typeof putPreferences>, @Headers('if-match') ifMatch: string | undefined, @Res({ passthrough: true }) reply: FastifyReply): Promise<PreferencesJson> {
    const owner = ownerOf(principal);
    const { institutionId } = homeOf(principal);
    const saved = await this.database.transaction({ institutionId }, async (tx) => {
      requireMatch(ifMatch, etag(owner, await this.preferences.lock(tx, institutionId, owner)));
      await this.announcements.reschedule(tx, institutionId, owner.id, body);
      return this.preferences.save(tx, institutionId, owner, body);
    });
    return answer(owner, saved, reply);
  }
}

/** @throws AppError `user-not-found` for a system: it has no mailbox */
function ownerOf({ kind, userId, role }: Principal): Owner {
  if (kind === 'client') throw new AppError('user-not-found', { detail: 'A system is sent no e-mails.' });
  return { id: userId, role };
}

function answer(owner: Owner, stored: StoredPreferences, reply: FastifyReply): PreferencesJson {
  void reply.header('ETag', etag(owner, stored));
  return { ...stored.preferences, updatedAt: stored.updatedAt?.toISOString() ?? null };
}

/** Those of the role change with it. */
function etag({ id, role }: Owner, { version, updatedAt }: StoredPreferences): string {
  return etagOf('notification-preferences', id, version === 0 ? role : '', version, updatedAt?.getTime() ?? 0);
}
