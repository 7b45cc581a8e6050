import { Body, Controller, Delete, Get, Headers, Param, Patch, Post, Query, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { AppError } from '../../kernel/errors.js';
import { noteForAudit } from '../../platform/audit/audit-note.js';
import { KeyVault } from '../../platform/crypto/key-vault.js';
import { CurrentPrincipal, RequirePermission, type Principal } from '../../platform/http/access.js';
import { requireMatch, TakesIfMatch } from '../../platform/http/if-match.js';
import { Operation } from '../../platform/http/openapi.js';
import { pageOf, type Page } from '../../platform/http/page.js';
import { accessionToken, patientIdToken } from './qido/search-tokens.js';
import { StudiesService, type Precondition } from './studies.service.js';
import { StudiesStore, type StudyFilter, type StudyRow } from './studies.store.js';
import {
  studyDetailExample, studyDetailJson, studyDetailSchema, studyETag, studyExample, studyJson, studyPageSchema, studyQuery, uidParameter, updateStudy,
  type StudyDetailJson, type StudyJson, type StudyQuery, type UpdateStudy,
} from './studies-json.js';
import { StudyAttributes } from './study-attributes.js';

const ETAG = { ETag: 'State of the study, for If-Match' };

@ApiTags('studies')
@Controller('api/v1/studies')
export class StudiesController {
  constructor(
    private readonly store: StudiesStore,
    private readonly studies: StudiesService,
    private readonly attributes: StudyAttributes,
    private readonly vault: KeyVault,
  ) {}

  @Get()
  @RequirePermission('images:read')
  @Operation({
    id: 'listStudies', summary: 'List studies', description: 'Newest first. A study whose key was destroyed is listed without its patient.',
    answers: { 200: { description: 'A page of studies', schema: studyPageSchema, example: { items: [studyExample], nextCursor: null } } },
    problems: ['invalid-query'],
  })
  async list(@Query({ schema: studyQuery }) query: StudyQuery, @CurrentPrincipal() { institutionId }: Principal, @Req() request: FastifyRequest): Promise<Page<StudyJson>> {
    const { limit, cursor, ...wanted } = query;
    const rows = await this.store.list(institutionId, await this.filterOf(institutionId, wanted), { limit, cursor });
    noteForAudit(request, { studyInstanceUids: rows.slice(0, limit).map(({ studyInstanceUid }) => studyInstanceUid) });
    const opened = await this.attributes.openAll(rows.slice(0, limit));
    return pageOf(rows, limit, (row) => studyJson(row, opened.get(row.id)));
  }

  @Get(':studyInstanceUid')
  @RequirePermission('images:read')
  @Operation({
    id: 'getStudy', summary: 'A study with its series', description: 'With the receipts of why it counts as complete, once it does, and why it did before more came.',
    answers: { 200: { description: 'The study', schema: studyDetailSchema, headers: ETAG, example: studyDetailExample } },
    problems: ['study-not-found'],
  })
  async get(@Param('studyInstanceUid', { schema: uidParameter }) studyInstanceUid: string, @CurrentPrincipal() { institutionId }: Principal, @Res({ passthrough: true }) reply: FastifyReply): Promise<StudyDetailJson> {
    return this.answer(institutionId, reply, await this.store.find(institutionId, studyInstanceUid));
  }

  @Post(':studyInstanceUid/complete')
  @TakesIfMatch()
  @RequirePermission('images:write')
  @Operation({
    id: 'completeStudy', summary: 'Declare a study complete', description: 'Does not wait for SETTLE_SECONDS. A study that is complete already stays as it is.',
    answers: { 200: { description: 'The complete study', schema: studyDetailSchema, headers: ETAG, example: studyDetailExample } },
    problems: ['study-not-found', 'precondition-failed'],
  })
  async complete(
    @Param('studyInstanceUid', { schema: uidParameter }) studyInstanceUid: string, @CurrentPrincipal() { institutionId }: Principal,
    @Headers('if-match') ifMatch: string | undefined, @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<StudyDetailJson> {
    return this.answer(institutionId, reply, await this.studies.complete(institutionId, studyInstanceUid, matches(ifMatch)));
  }

  @Patch(':studyInstanceUid')
  @TakesIfMatch()
  @RequirePermission('images:hold')
  @Operation({
    id: 'updateStudy', summary: 'Put a study under legal hold, or release it', description: 'Under legal hold nobody deletes the study, and retention passes it over.',
    answers: { 200: { description: 'The study', schema: studyDetailSchema, headers: ETAG, example: { ...studyDetailExample, legalHold: true } } },
    problems: ['invalid-body', 'study-not-found', 'precondition-failed'],
  })
  async update(
    @Param('studyInstanceUid', { schema: uidParameter }) studyInstanceUid: string, @Body({ schema: updateStudy }) { legalHold }: UpdateStudy, @CurrentPrincipal() { institutionId }: Principal,
    @Headers('if-match') ifMatch: string | undefined, @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<StudyDetailJson> {
    return this.answer(institutionId, reply, await this.studies.setLegalHold(institutionId, studyInstanceUid, legalHold, matches(ifMatch)));
  }

  @Delete(':studyInstanceUid')
  @TakesIfMatch()
  @RequirePermission('images:delete')
  @Operation({
    id: 'deleteStudy', summary: 'Delete a study', description: 'With all its instances, runs and results. Its key is destroyed with it, so that its bytes are unreadable at once, and in backups; they are removed shortly after.',
    answers: { 204: { description: 'The study is gone' } },
    problems: ['study-not-found', 'precondition-failed', 'study-on-hold'],
  })
  async delete(@Param('studyInstanceUid', { schema: uidParameter }) studyInstanceUid: string, @CurrentPrincipal() { institutionId }: Principal, @Headers('if-match') ifMatch: string | undefined): Promise<void> {
    await this.studies.delete(institutionId, studyInstanceUid, matches(ifMatch));
  }

  /** @throws AppError `study-not-found` */
  private async answer(institutionId: string, reply: FastifyReply, study: StudyRow | null): Promise<StudyDetailJson> {
    if (!study) throw new AppError('study-not-found');
    const series = await this.store.seriesOf(institutionId, study.id);
    void reply.header('ETag', studyETag(study));
    return studyDetailJson(study, series, await this.attributes.open(study, series));
  }

  private async filterOf(institutionId: string, { patientId, accessionNumber, ...rest }: Omit<StudyQuery, 'limit' | 'cursor'>): Promise<StudyFilter> {
    if (patientId === undefined && accessionNumber === undefined) return rest;
    const index = await this.vault.blindIndex(institutionId);
    return {
      ...rest,
      patientIdToken: patientId === undefined ? undefined : patientIdToken(index, patientId),
      accessionToken: accessionNumber === undefined ? undefined : accessionToken(index, accessionNumber),
    };
  }
}

function matches(ifMatch: string | undefined): Precondition {
  return (study) => { requireMatch(ifMatch, studyETag(study)); };
}
