import { Body, Controller, Delete, Get, Headers, Param, Patch, Post, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { CATALOG } from '../../../imaging/analyses/catalog.js';
import { parseManifest } from '../../../imaging/model/manifest.js';
import { AppError } from '../../../kernel/errors.js';
import { noteForAudit } from '../../../platform/audit/audit-note.js';
import { Database } from '../../../platform/database/database.js';
import { CurrentPrincipal, RequirePermission, type Principal } from '../../../platform/http/access.js';
import { Idempotent } from '../../../platform/http/idempotency.interceptor.js';
import { requireMatch, TakesIfMatch } from '../../../platform/http/if-match.js';
import { Operation } from '../../../platform/http/openapi.js';
import { etagOf } from '../../../platform/http/representation.js';
import { StudyReader, type StoredStudy } from '../../images/images.contract.js';
import { Planner, type Planned } from './planner.service.js';
import { createRule, givenOf, MOST_RULES, ruleBody, ruleExample, ruleSchema, rulesSchema, testExample, testRules, testSchema, updateRule, type RuleBody, type TestBody } from './routing-rules-json.js';
import { RoutingRulesStore, type StoredRule } from './routing-rules.store.js';

const ETAG = { ETag: 'Version of the rule, for If-Match' };

/** Which analyses an institution wants of which studies. */
@ApiTags('routing-rules')
@Controller('api/v1/routing-rules')
export class RoutingRulesController {
  constructor(
    private readonly rules: RoutingRulesStore,
    private readonly planner: Planner,
    private readonly studies: StudyReader,
    private readonly database: Database,
  ) {}

  @Get()
  @RequirePermission('routing:read')
  @Operation({ id: 'listRoutingRules', summary: 'Which studies are analysed, and how urgently', answers: { 200: { description: 'All rules, in the order in which they are looked at', schema: rulesSchema, example: { items: [ruleExample] } } } })
  async list(@CurrentPrincipal() { institutionId }: Principal): Promise<{ items: RuleBody[] }> {
    return { items: (await this.rules.list(institutionId)).map(ruleBody) };
  }

  @Post('test')
  @RequirePermission('routing:read')
  @Operation({
    id: 'testRoutingRules', summary: 'Try the rules on a study',
    description: 'Says which rules match and why, what would be planned, and what would not be analysable, as far as that can be said before the images are read. Nothing is done.',
    answers: { 200: { description: 'What would be done', schema: testSchema, example: testExample } },
    problems: ['invalid-body', 'study-not-found'],
  })
  async test(@CurrentPrincipal() { institutionId }: Principal, @Body({ schema: testRules }) { studyInstanceUid }: z.output<typeof testRules>, @Req() request: FastifyRequest): Promise<TestBody> {
    noteForAudit(request, { studyInstanceUids: [studyInstanceUid] });
    const study = await this.studies.find(institutionId, studyInstanceUid);
    if (!study) throw new AppError('study-not-found');
    const { byRules, evaluations, planned } = await this.planner.plan(study);
    return {
      studyInstanceUid, byRules,
      rules: evaluations.map(({ rule: { id, name }, outcome, why, seriesInstanceUids, checks }) => ({ id, name, outcome, why, seriesInstanceUids, conditions: checks })),
      planned: planned.map((one) => forecast(study, one)),
    };
  }

  @Get(':id')
  @RequirePermission('routing:read')
  @Operation({ id: 'getRoutingRule', summary: 'One rule', answers: { 200: { description: 'The rule', schema: ruleSchema, example: ruleExample, headers: ETAG } }, problems: ['routing-rule-not-found'] })
  async get(@CurrentPrincipal() { institutionId }: Principal, @Param('id', { schema: z.uuid() }) id: string, @Res({ passthrough: true }) reply: FastifyReply): Promise<RuleBody> {
    return answer(found(await this.rules.find(institutionId, id)), reply);
  }

  @Post()
  @RequirePermission('routing:write')
  @Idempotent()
  @Operation({
    id: 'createRoutingRule', summary: 'Add a rule',
    description: `A study that becomes complete gets the analyses of the rules that match it; of several that name an analysis the first one counts. Without an enabled rule every analysis that fits is done, at routine. At most ${String(MOST_RULES)} rules.`,
    answers: { 201: { description: 'Created', schema: ruleSchema, example: ruleExample, headers: { ...ETAG, Location: 'Where the rule is' } } },
    problems: ['invalid-body', 'conflict', 'idempotency-key-reused'],
  })
  async create(@CurrentPrincipal() { institutionId }: Principal, @Body({ schema: createRule }) draft: z.output<typeof createRule>, @Res({ passthrough: true }) reply: FastifyReply): Promise<RuleBody> {
    const rule = await this.rules.create(institutionId, draft, MOST_RULES);
    if (!rule) throw new AppError('conflict', { detail: `There are ${String(MOST_RULES)} rules already.` });
    void reply.header('Location', `/api/v1/routing-rules/${rule.id}`);
    return answer(rule, reply);
  }

  @Patch(':id')
  @TakesIfMatch()
  @RequirePermission('routing:write')
  @Operation({
    id: 'updateRoutingRule', summary: 'Change a rule', description: 'For studies that become complete from now on. Send `If-Match` with the ETag to change only what you have seen.',
    answers: { 200: { description: 'Changed', schema: ruleSchema, example: ruleExample, headers: ETAG } },
    problems: ['invalid-body', 'routing-rule-not-found', 'precondition-failed'],
  })
  async update(
    @CurrentPrincipal() { institutionId }: Principal, @Param('id', { schema: z.uuid() }) id: string, @Body({ schema: updateRule }) change: z.output<typeof updateRule>,
    @Headers('if-match') ifMatch: string | undefined, @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<RuleBody> {
    const changed = await this.database.transaction({ institutionId }, async (tx) => {
      requireMatch(ifMatch, etag(found(await this.rules.lock(tx, institutionId, id))));
      return this.rules.change(tx, id, givenOf(change));
    });
    return answer(changed, reply);
  }

  @Delete(':id')
  @TakesIfMatch()
  @RequirePermission('routing:write')
  @Operation({ id: 'deleteRoutingRule', summary: 'Remove a rule', answers: { 204: { description: 'Removed' } }, problems: ['routing-rule-not-found', 'precondition-failed'] })
  async delete(@CurrentPrincipal() { institutionId }: Principal, @Param('id', { schema: z.uuid() }) id: string, @Headers('if-match') ifMatch: string | undefined): Promise<void> {
    await this.database.transaction({ institutionId }, async (tx) => {
      requireMatch(ifMatch, etag(found(await this.rules.lock(tx, institutionId, id))));
      await this.rules.delete(tx, id);
    });
  }
}

/** What the selection of series says before any image is read. */
function forecast(study: StoredStudy, { analysis, priority, ruleId, model, skipped }: Planned): TestBody['planned'][number] {
  const about = { analysis, priority, ruleId, model: model ? { name: model.name, version: model.version } : null, series: [], passedOver: [] };
  const code = CATALOG[analysis];
  if (!model || !code) return { ...about, outcome: 'not-planned', reason: skipped ?? { code: 'no-active-model', detail: 'This version has no code for the analysis.' } };
  const selected = code.select(study, parseManifest(model.manifest));
  if (selected.kind === 'not-analysable') return { ...about, outcome: 'not-analysable', reason: { code: selected.code, detail: selected.detail } };
  return { ...about, outcome: 'analysed', series: selected.series.map(({ seriesInstanceUid, role, reason }) => ({ seriesInstanceUid, role, reason })), passedOver: selected.passedOver };
}

function found(rule: StoredRule | undefined): StoredRule {
  if (!rule) throw new AppError('routing-rule-not-found');
  return rule;
}

function answer(rule: StoredRule, reply: FastifyReply): RuleBody {
  void reply.header('ETag', etag(rule));
  return ruleBody(rule);
}

function etag({ id, updatedAt }: StoredRule): string {
  return etagOf(id, updatedAt.getTime());
}
