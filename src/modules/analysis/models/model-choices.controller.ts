import { Body, Controller, Delete, Get, Param, Put, Req } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { AppError } from '../../../kernel/errors.js';
import { noteForAudit } from '../../../platform/audit/audit-note.js';
import { CurrentPrincipal, RequirePermission, type Principal } from '../../../platform/http/access.js';
import { Operation } from '../../../platform/http/openapi.js';
import { ModelChoicesStore, type ChosenModel } from './model-choices.store.js';
import { ModelsStore, type ModelRow } from './models.store.js';

const chooseModel = z
  .strictObject({ reason: z.string().trim().min(1).max(1000).optional().meta({ description: 'Why', example: 'Validated on our scanners' }) })
  .meta({ id: 'ChooseModel', example: { reason: 'Validated on our scanners' } });

const choiceSchema = z
  .object({
    analysis: z.string(),
    model: z.object({ name: z.string(), version: z.string(), digest: z.string(), state: z.string().meta({ description: 'In the installation; a retired model is chosen in vain' }) }),
    reason: z.string().nullable(),
    chosenBy: z.uuid(),
    chosenAt: z.iso.datetime(),
  })
  .meta({ id: 'ModelChoice', description: 'The model that an institution runs on its own studies in place of the active one' });
const choicesSchema = z.object({ items: z.array(choiceSchema) }).meta({ id: 'ModelChoices' });
type ChoiceJson = z.infer<typeof choiceSchema>;

const example: ChoiceJson = {
  analysis: 'chest-xray-classification', model: { name: 'chest-xray-pneumonia', version: '1.1.0', digest: 'sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08', state: 'available' },
  reason: 'Validated on our scanners', chosenBy: '0198c0de-4a10-7b11-8a01-0c9d8e7f6a5b', chosenAt: '2026-11-21T10:00:00.000Z',
};

const CHOOSABLE: readonly string[] = ['active', 'available', 'shadow'];

/** What an institution wants other than the rest of the installation. */
@ApiTags('models')
@Controller('api/v1/models')
export class ModelChoicesController {
  constructor(
    private readonly models: ModelsStore,
    private readonly choices: ModelChoicesStore,
  ) {}

  @Get('choices')
  @RequirePermission('models:read')
  @Operation({ id: 'listModelChoices', summary: 'Models that your institution has chosen for itself', answers: { 200: { description: 'At most one for each analysis and domain', schema: choicesSchema, example: { items: [example] } } } })
  async list(@CurrentPrincipal() { institutionId }: Principal): Promise<z.infer<typeof choicesSchema>> {
    return { items: (await this.choices.list(institutionId)).map(choiceJson) };
  }

  @Put(':name/:version/choice')
  @RequirePermission('models:choose')
  @Operation({
    id: 'chooseModel', summary: 'Run this version on the studies of your institution',
    description: 'In place of the active model of the same analysis and domain, whichever that is, until the choice is taken back.',
    answers: { 200: { description: 'The choice', schema: choiceSchema, example } },
    problems: ['invalid-body', 'model-not-found', 'model-not-switchable'],
  })
  async choose(
    @Param('name', { schema: z.string() }) name: string, @Param('version', { schema: z.string() }) version: string, @Body({ schema: chooseModel.optional() }) body: z.output<typeof chooseModel> | undefined,
    @CurrentPrincipal() { institutionId, userId }: Principal, @Req() request: FastifyRequest,
  ): Promise<ChoiceJson> {
    const model = await this.require(name, version);
    noteForAudit(request, { object: `${name}@${version}`, ...(body?.reason !== undefined && { reason: body.reason }), details: { digest: model.digest } });
    if (!CHOOSABLE.includes(model.state)) throw new AppError('model-not-switchable', { detail: `The model is ${model.state}.` });
    await this.choices.put(institutionId, model, userId, body?.reason ?? null);
    const made = (await this.choices.list(institutionId)).find((choice) => choice.model.digest === model.digest);
    if (!made) throw new AppError('conflict', { detail: 'Another choice was made at the same time.' });
    return choiceJson(made);
  }

  @Delete(':name/:version/choice')
  @RequirePermission('models:choose')
  @Operation({ id: 'unchooseModel', summary: 'Run the active model again', answers: { 204: { description: 'The active model serves your institution again' } }, problems: ['model-not-found', 'model-not-chosen'] })
  async unchoose(@Param('name', { schema: z.string() }) name: string, @Param('version', { schema: z.string() }) version: string, @CurrentPrincipal() { institutionId }: Principal, @Req() request: FastifyRequest): Promise<void> {
    const model = await this.require(name, version);
    noteForAudit(request, { object: `${name}@${version}`, details: { digest: model.digest } });
    if (!(await this.choices.remove(institutionId, model))) throw new AppError('model-not-chosen');
  }

  private async require(name: string, version: string): Promise<ModelRow> {
    const model = await this.models.find(name, version);
    if (!model) throw new AppError('model-not-found');
    return model;
  }
}

function choiceJson({ chosenAt, ...choice }: ChosenModel): ChoiceJson {
  return { ...choice, chosenAt: chosenAt.toISOString() };
}
