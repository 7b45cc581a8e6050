import { Controller, Delete, Get, Headers, Param, Post, Query, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { AppError } from '../../kernel/errors.js';
import { Database } from '../../platform/database/database.js';
import { CurrentPrincipal, RequirePermission, type Principal } from '../../platform/http/access.js';
import { Operation } from '../../platform/http/openapi.js';
import { pageOf, type Page } from '../../platform/http/page.js';
import { StudiesService } from './studies.service.js';
import { StudiesStore, type StudyRow } from './studies.store.js';
import { etagOf, studyDetailJson, studyDetailSchema, studyExample, studyJson, studyPageSchema, studyQuery, uidParameter, type StudyDetailJson, type StudyJson, type StudyQuery } from './studies-json.js';

const ETAG = { ETag: 'State of the study, for If-Match' };

@ApiTags('studies')
@Controller('api/v1/studies')
export class StudiesController {
  constructor(
    private readonly database: Database,
    private readonly store: StudiesStore,
    private readonly studies: StudiesService,
  ) {}

  @Get()
  @RequirePermission('images:read')
  @Operation({
    id: 'listStudies', summary: 'List studies', description: 'Newest first.',
    answers: { 200: { description: 'A page of studies', schema: studyPageSchema, example: { items: [studyExample], nextCursor: null } } },
    problems: ['invalid-query'],
  })
  async list(@Query({ schema: studyQuery }) query: StudyQuery, @CurrentPrincipal() { institutionId }: Principal): Promise<Page<StudyJson>> {
    const { limit, cursor, ...filter } = query;
    const rows = await this.database.transaction({ institutionId }, (tx) => this.store.list(tx, institutionId, filter, { limit, cursor }));
    return pageOf(rows, limit, studyJson);
  }

  @Get(':studyInstanceUid')
  @RequirePermission('images:read')
  @Operation({
    id: 'getStudy', summary: 'A study with its series', description: 'With the receipt of why it counts as complete, once it does.',
    answers: { 200: { description: 'The study', schema: studyDetailSchema, headers: ETAG, example: { ...studyExample, series: [] } } },
    problems: ['study-not-found'],
  })
  async get(@Param('studyInstanceUid', { schema: uidParameter }) studyInstanceUid: string, @CurrentPrincipal() { institutionId }: Principal, @Res({ passthrough: true }) reply: FastifyReply): Promise<StudyDetailJson> {
    return this.database.transaction({ institutionId }, async (tx) => {
      const study = await this.store.find(tx, institutionId, studyInstanceUid);
      if (!study) throw new AppError('study-not-found');
      void reply.header('ETag', etagOf(study));
      return studyDetailJson(study, await this.store.seriesOf(tx, study.id));
    });
  }

  @Post(':studyInstanceUid/complete')
  @RequirePermission('images:write')
  @Operation({
    id: 'completeStudy', summary: 'Declare a study complete', description: 'Does not wait for SETTLE_SECONDS. A study that is complete already stays as it is.',
    answers: { 200: { description: 'The complete study', schema: studyDetailSchema, headers: ETAG, example: { ...studyExample, series: [] } } },
    problems: ['study-not-found', 'precondition-failed'],
  })
  async complete(
    @Param('studyInstanceUid', { schema: uidParameter }) studyInstanceUid: string, @CurrentPrincipal() { institutionId }: Principal,
    @Headers('if-match') ifMatch: string | undefined, @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<StudyDetailJson> {
    const study = await this.studies.complete(institutionId, studyInstanceUid, matches(ifMatch));
    void reply.header('ETag', etagOf(study));
    return studyDetailJson(study, await this.database.transaction({ institutionId }, (tx) => this.store.seriesOf(tx, study.id)));
  }

  @Delete(':studyInstanceUid')
  @RequirePermission('images:delete')
  @Operation({
    id: 'deleteStudy', summary: 'Delete a study', description: 'With all its instances, runs and results. The bytes are removed shortly after.',
    answers: { 204: { description: 'The study is gone' } },
    problems: ['study-not-found', 'precondition-failed'],
  })
  async delete(@Param('studyInstanceUid', { schema: uidParameter }) studyInstanceUid: string, @CurrentPrincipal() { institutionId }: Principal, @Headers('if-match') ifMatch: string | undefined): Promise<void> {
    await this.studies.delete(institutionId, studyInstanceUid, matches(ifMatch));
  }
}

/** RFC 9110 §13.1.1; without the header every state is right. */
function matches(ifMatch: string | undefined): (study: StudyRow) => boolean {
  if (ifMatch === undefined || ifMatch.trim() === '*') return () => true;
  const tags = ifMatch.split(',').map((tag) => tag.trim());
  return (study) => tags.includes(etagOf(study));
}
