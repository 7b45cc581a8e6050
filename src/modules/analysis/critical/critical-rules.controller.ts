import { Body, Controller, Delete, Get, Headers, Put, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { criticalRulesSchema, DEFAULT_CRITICAL_RULES } from '../../../imaging/report/critical.js';
import { Database } from '../../../platform/database/database.js';
import { CurrentPrincipal, RequirePermission, type Principal } from '../../../platform/http/access.js';
import { requireMatch, TakesIfMatch } from '../../../platform/http/if-match.js';
import { Operation } from '../../../platform/http/openapi.js';
import { etagOf } from '../../../platform/http/representation.js';
import { CriticalRulesStore, type StoredCriticalRules } from './critical-rules.store.js';

const bodySchema = z
  .object({ rules: criticalRulesSchema, updatedAt: z.iso.datetime().nullable().meta({ description: 'null: these are the rules of the product' }) })
  .meta({ id: 'CriticalRuleSet' });
const putRules = z.strictObject({ rules: criticalRulesSchema }).meta({ id: 'PutCriticalRules', example: { rules: [...DEFAULT_CRITICAL_RULES] } });
type RulesBody = z.infer<typeof bodySchema>;

const example: RulesBody = { rules: [...DEFAULT_CRITICAL_RULES], updatedAt: null };
const ETAG = { ETag: 'Version of the rules, for If-Match' };

/** Of which results an institution wants a person to be told at once. */
@ApiTags('critical-rules')
@Controller('api/v1/critical-rules')
export class CriticalRulesController {
  constructor(
    private readonly rules: CriticalRulesStore,
    private readonly database: Database,
  ) {}

  @Get()
  @RequirePermission('critical-rules:read')
  @Operation({ id: 'getCriticalRules', summary: 'When a result is critical', answers: { 200: { description: 'The rules that hold', schema: bodySchema, example, headers: ETAG } } })
  async get(@CurrentPrincipal() { institutionId }: Principal, @Res({ passthrough: true }) reply: FastifyReply): Promise<RulesBody> {
    return answer(await this.rules.find(institutionId), reply);
  }

  @Put()
  @TakesIfMatch()
  @RequirePermission('critical-rules:write')
  @Operation({
    id: 'putCriticalRules', summary: 'Decide when a result is critical', description: 'A result is critical when any of the rules holds; without rules none is. For results from now on; those that are stored stay as they are.',
    answers: { 200: { description: 'The rules that hold', schema: bodySchema, example: { ...example, updatedAt: '2026-11-21T10:00:00.000Z' }, headers: ETAG } },
    problems: ['invalid-body', 'precondition-failed'],
  })
  async put(@CurrentPrincipal() { institutionId }: Principal, @Body({ schema: putRules }) { rules }: z.output<typeof putRules>, @Headers('if-match') ifMatch: string | undefined, @Res({ passthrough: true }) reply: FastifyReply): Promise<RulesBody> {
    const saved = await this.database.transaction({ institutionId }, async (tx) => {
      requireMatch(ifMatch, etag(await this.rules.lock(tx, institutionId)));
      return this.rules.save(tx, institutionId, rules);
    });
    return answer(saved, reply);
  }

  @Delete()
  @TakesIfMatch()
  @RequirePermission('critical-rules:write')
  @Operation({ id: 'resetCriticalRules', summary: 'Go back to the rules of the product', answers: { 204: { description: 'The rules of the product hold' } }, problems: ['precondition-failed'] })
  async reset(@CurrentPrincipal() { institutionId }: Principal, @Headers('if-match') ifMatch: string | undefined): Promise<void> {
    await this.database.transaction({ institutionId }, async (tx) => {
      requireMatch(ifMatch, etag(await this.rules.lock(tx, institutionId)));
      await this.rules.remove(tx, institutionId);
    });
  }
}

function answer(stored: StoredCriticalRules, reply: FastifyReply): RulesBody {
  void reply.header('ETag', etag(stored));
  return { rules: [...stored.rules], updatedAt: stored.updatedAt?.toISOString() ?? null };
}

function etag({ version, updatedAt }: StoredCriticalRules): string {
  return etagOf('critical-rules', version, updatedAt?.getTime() ?? 0);
}
