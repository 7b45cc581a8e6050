import { Body, Controller, Headers, Inject, Param, Patch, Post, Req, Res } from '@nestjs/common';
import { ApiBody, ApiConsumes, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { noteForAudit } from '../../../platform/audit/audit-note.js';
import { CONFIG, type Config } from '../../../platform/config.js';
import { CurrentPrincipal, RequirePermission, type Principal } from '../../../platform/http/access.js';
import { Idempotent } from '../../../platform/http/idempotency.interceptor.js';
import { TakesIfMatch } from '../../../platform/http/if-match.js';
import { Operation } from '../../../platform/http/openapi.js';
import { languageOf } from '../../../platform/http/problem.js';
import { ModelStates, SETTABLE_STATES, type Switched } from './model-states.service.js';
import { modelTag, requireModelMatch } from './model-tag.js';
import { modelExample, modelJson, modelSchema, type ModelJson } from './models-json.js';
import type { ModelRow } from './models.store.js';
import { PACK_FIELD, packBytes, readOff } from './pack-form.js';
import { PackUploads } from './pack-uploads.service.js';

const reason = z.string().trim().min(1).max(1000).optional().meta({ description: 'Why; kept with the history', example: 'Better on portable X-rays' });

const changeModel = z.strictObject({ state: z.enum(SETTABLE_STATES).meta({ example: 'active' }), reason }).meta({ id: 'ChangeModel', example: { state: 'active', reason: 'Better on portable X-rays' } });
const rollBackModel = z.strictObject({ reason }).meta({ id: 'RollBackModel', example: { reason: 'Too many false alarms' } });

const switchedSchema = z
  .object({ model: modelSchema, displaced: z.object({ name: z.string(), version: z.string(), digest: z.string() }).nullable().meta({ description: 'Was active before, and is available now' }) })
  .meta({ id: 'SwitchedModel' });
type SwitchedJson = z.infer<typeof switchedSchema>;
const switchedExample: SwitchedJson = { model: modelExample, displaced: { name: modelExample.name, version: '1.1.0', digest: modelExample.digest } };

const ETAG = { ETag: 'State of the model, for If-Match' };

/** Models of the installation: what comes in, and which one serves. */
@ApiTags('models')
@RequirePermission('models:write')
@Controller('api/v1/models')
export class ModelChangesController {
  constructor(
    private readonly uploads: PackUploads,
    private readonly states: ModelStates,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  @Post()
  @Idempotent({ body: false })
  @ApiConsumes('multipart/form-data')
  @ApiBody({ required: true, schema: { type: 'object', required: [PACK_FIELD], properties: { [PACK_FIELD]: { type: 'string', format: 'binary', description: 'A .tgz of a model pack, or of a MONAI bundle with exported networks' } } } })
  @Operation({
    id: 'installModel',
    summary: 'Install a model pack',
    description: 'Every file is compared with its digest, a signature with MODEL_SIGNERS. A worker then loads the networks and tries them: the model is `checking` until it is `available` (`active` when no other is for its analysis and domain) or `rejected` with the reason. The very same pack again changes nothing.',
    answers: {
      202: { description: 'The pack is stored and waits for a worker', schema: modelSchema, example: { ...modelExample, state: 'checking', source: 'upload', checkedAt: null }, headers: { Location: 'The model', ...ETAG } },
      200: { description: 'The model was there already', schema: modelSchema, example: { ...modelExample, source: 'upload' }, headers: { Location: 'The model', ...ETAG } },
    },
    problems: [
      'invalid-body', 'malformed-multipart', 'unsupported-media-type', 'payload-too-large', 'conflict', 'idempotency-key-reused', 'empty-file', 'invalid-archive', 'truncated-file', 'archive-bomb', 'unsafe-archive-path',
      'manifest-invalid', 'model-signature-invalid', 'model-conflict', 'storage-full', 'storage-unavailable',
    ],
  })
  async install(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<ModelJson> {
    try {
      const { row, isNew } = await this.uploads.receive(packBytes(request, this.config.MAX_UPLOAD_BYTES));
      noteForAudit(request, { object: `${row.name}@${row.version}`, details: { digest: row.digest, signedBy: row.signedBy, isNew } });
      void reply.status(isNew ? 202 : 200).header('Location', `/api/v1/models/${row.name}/${row.version}`);
      return tagged(row, request, reply);
    } catch (error) {
      readOff(request);
      throw error;
    }
  }

  @Patch(':name/:version')
  @TakesIfMatch()
  @Operation({
    id: 'changeModel',
    summary: 'Put a version of a model into a state',
    description: '`active`: serves studies of its analysis and domain; the one that did becomes `available`. `shadow`: runs beside the active one, its results are kept apart and compared. `available`: on request only. `retired`: out of service.',
    answers: { 200: { description: 'The model, and the one whose place it took', schema: switchedSchema, example: switchedExample, headers: ETAG } },
    problems: ['invalid-body', 'model-not-found', 'model-not-switchable', 'precondition-failed'],
  })
  async change(
    @Param('name', { schema: z.string() }) name: string, @Param('version', { schema: z.string() }) version: string, @Body({ schema: changeModel }) body: z.output<typeof changeModel>,
    @Headers('if-match') ifMatch: string | undefined, @CurrentPrincipal() { userId }: Principal, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SwitchedJson> {
    noteForAudit(request, { object: `${name}@${version}`, ...(body.reason !== undefined && { reason: body.reason }), details: { to: body.state } });
    const switched = await this.states.set(name, version, body.state, { userId, reason: body.reason ?? null }, (model) => {
      requireModelMatch(ifMatch, model);
      noteForAudit(request, { details: { from: model.state, digest: model.digest } });
    });
    return answer(switched, request, reply);
  }

  @Post(':name/rollback')
  @Operation({
    id: 'rollBackModel',
    summary: 'Go back to the model that was active before',
    description: 'The active version of this model gives its place back to the one that it took it from, of whatever name. Going back twice leads two steps back.',
    answers: { 200: { description: 'The model that is active again, and the one that gave way', schema: switchedSchema, example: switchedExample, headers: ETAG } },
    problems: ['invalid-body', 'no-earlier-model'],
  })
  async rollBack(
    @Param('name', { schema: z.string() }) name: string, @Body({ schema: rollBackModel.optional() }) body: z.output<typeof rollBackModel> | undefined,
    @CurrentPrincipal() { userId }: Principal, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SwitchedJson> {
    const why = body?.reason;
    noteForAudit(request, { object: name, ...(why !== undefined && { reason: why }), details: { to: 'rollback' } });
    const switched = await this.states.rollBack(name, { userId, reason: why ?? null });
    noteForAudit(request, { object: `${switched.model.name}@${switched.model.version}`, details: { digest: switched.model.digest } });
    return answer(switched, request, reply);
  }
}

function answer({ model, displaced }: Switched, request: FastifyRequest, reply: FastifyReply): SwitchedJson {
  if (displaced) noteForAudit(request, { details: { displaced: `${displaced.name}@${displaced.version}` } });
  return { model: tagged(model, request, reply), displaced: displaced && { name: displaced.name, version: displaced.version, digest: displaced.digest } };
}

function tagged(row: ModelRow, request: FastifyRequest, reply: FastifyReply): ModelJson {
  const language = languageOf(request.headers['accept-language']);
  void reply.header('ETag', modelTag(row, language));
  return modelJson(row, language);
}
