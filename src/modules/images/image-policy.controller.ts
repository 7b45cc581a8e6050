import { Body, Controller, Get, Headers, Put, Query, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { Database } from '../../platform/database/database.js';
import { CurrentPrincipal, RequirePermission, type Principal } from '../../platform/http/access.js';
import { requireMatch, TakesIfMatch } from '../../platform/http/if-match.js';
import { Operation } from '../../platform/http/openapi.js';
import { etagOf } from '../../platform/http/representation.js';
import { ImagePolicyStore, type StoredImagePolicy } from './image-policy.store.js';
import { RetentionStore } from './retention.store.js';

const LONGEST_RETENTION_DAYS = 36_500;

const retentionDays = z.int().min(1).max(LONGEST_RETENTION_DAYS);

const fields = {
  onConflict: z.enum(['reject', 'replace']).meta({ description: 'What happens to other bytes under a stored SOP Instance UID; `replace` keeps the bytes before' }),
  retentionDays: retentionDays.nullable().meta({ description: 'Days after the last instance came until a study is removed; null = for ever' }),
};

const policySchema = z.object({ ...fields, updatedAt: z.iso.datetime().nullable().meta({ description: 'null: these are the defaults' }) }).meta({ id: 'ImagePolicy' });
const changePolicy = z.strictObject(fields).meta({ id: 'ChangeImagePolicy', example: { onConflict: 'reject', retentionDays: 3_650 } });

const previewQuery = z.strictObject({ retentionDays: z.coerce.number().int().min(1).max(LONGEST_RETENTION_DAYS).optional().meta({ description: 'Tries this instead of the policy that holds', example: 3_650 }) });
const previewSchema = z
  .object({
    retentionDays: z.int().nullable(),
    studies: z.int().meta({ description: 'Studies that would be removed now' }),
    sizeBytes: z.int().meta({ description: 'Size of their instances' }),
    onHold: z.int().meta({ description: 'Studies as old that a legal hold keeps' }),
    oldest: z.iso.datetime().nullable().meta({ description: 'When the last instance of the oldest of them came' }),
  })
  .meta({ id: 'RetentionPreview' });

type PolicyBody = z.infer<typeof policySchema>;

const example: PolicyBody = { onConflict: 'reject', retentionDays: 3_650, updatedAt: '2026-11-21T10:00:00.000Z' };
const ETAG = { ETag: 'Version of the policy, for If-Match' };

@ApiTags('images')
@Controller('api/v1/image-policy')
export class ImagePolicyController {
  constructor(
    private readonly database: Database,
    private readonly policies: ImagePolicyStore,
    private readonly retention: RetentionStore,
  ) {}

  @Get()
  @RequirePermission('institutions:read')
  @Operation({ id: 'getImagePolicy', summary: 'How the institution wants its images kept', answers: { 200: { description: 'The policy', schema: policySchema, example, headers: ETAG } } })
  async get(@CurrentPrincipal() { institutionId }: Principal, @Res({ passthrough: true }) reply: FastifyReply): Promise<PolicyBody> {
    return answer(await this.policies.find(institutionId), reply);
  }

  @Put()
  @TakesIfMatch()
  @RequirePermission('institutions:write')
  @Operation({
    id: 'putImagePolicy',
    summary: 'Decide how images are kept',
    description: 'A shorter retention removes studies for good within minutes; ask for the preview before. Studies under legal hold stay.',
    answers: { 200: { description: 'The policy', schema: policySchema, example, headers: ETAG } },
    problems: ['invalid-body', 'precondition-failed'],
  })
  async put(
    @CurrentPrincipal() { institutionId }: Principal, @Body({ schema: changePolicy }) change: z.output<typeof changePolicy>,
    @Headers('if-match') ifMatch: string | undefined, @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<PolicyBody> {
    const policy = await this.database.transaction({ institutionId }, async (tx) => {
      requireMatch(ifMatch, tagOf(await this.policies.lock(tx, institutionId)));
      return this.policies.save(tx, institutionId, change);
    });
    return answer(policy, reply);
  }

  @Get('preview')
  @RequirePermission('institutions:read')
  @Operation({
    id: 'previewRetention',
    summary: 'What retention would remove',
    description: 'Removes nothing. Without `retentionDays` it tells of the policy that holds, which removes nothing when it keeps studies for ever.',
    answers: { 200: { description: 'What would be removed now', schema: previewSchema, example: { retentionDays: 3_650, studies: 12, sizeBytes: 4_812_000_000, onHold: 1, oldest: '2016-02-03T08:00:00.000Z' } } },
    problems: ['invalid-query'],
  })
  async preview(@CurrentPrincipal() { institutionId }: Principal, @Query({ schema: previewQuery }) query: z.output<typeof previewQuery>): Promise<z.infer<typeof previewSchema>> {
    const days = query.retentionDays ?? (await this.policies.find(institutionId)).retentionDays;
    if (days === null) return { retentionDays: null, studies: 0, sizeBytes: 0, onHold: 0, oldest: null };
    const { studies, sizeBytes, onHold, oldest } = await this.retention.preview(institutionId, days);
    return { retentionDays: days, studies, sizeBytes, onHold, oldest: oldest?.toISOString() ?? null };
  }
}

function answer(policy: StoredImagePolicy, reply: FastifyReply): PolicyBody {
  void reply.header('ETag', tagOf(policy));
  return { onConflict: policy.onConflict, retentionDays: policy.retentionDays, updatedAt: policy.updatedAt?.toISOString() ?? null };
}

function tagOf({ onConflict, retentionDays, updatedAt }: StoredImagePolicy): string {
  return etagOf(onConflict, retentionDays ?? 'for ever', updatedAt?.getTime() ?? 0);
}
