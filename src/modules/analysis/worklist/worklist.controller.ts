import { Controller, Get, Query, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { AppError } from '../../../kernel/errors.js';
import { groupBy } from '../../../kernel/group-by.js';
import { noteForAudit } from '../../../platform/audit/audit-note.js';
import { CurrentPrincipal, RequirePermission, type Principal } from '../../../platform/http/access.js';
import { Operation } from '../../../platform/http/openapi.js';
import { pageOf, type Page } from '../../../platform/http/page.js';
import { languageOf } from '../../../platform/http/problem.js';
import { speaks } from '../../../platform/http/representation.js';
import { StudyHeadings } from '../../images/images.contract.js';
import { StudyResults } from '../../results/results.contract.js';
import { worklistEntry, worklistExample, worklistPageSchema, worklistQuery, type WorklistEntry, type WorklistQuery } from './worklist-json.js';
import { WorklistStore } from './worklist.store.js';

@ApiTags('studies')
@Controller('api/v1/worklist')
export class WorklistController {
  constructor(
    private readonly store: WorklistStore,
    private readonly headings: StudyHeadings,
    private readonly results: StudyResults,
  ) {}

  @Get()
  @RequirePermission('images:read')
  @Operation({
    id: 'listWorklist', summary: 'Studies with how far their analyses are and what they found',
    description: 'One call for what a worklist shows. Runs need `analyses:read`, results `results:read`: without it they are left out, and filters on them are refused.',
    answers: { 200: { description: 'A page of studies', schema: worklistPageSchema, example: { items: [worklistExample], nextCursor: null }, headers: { 'Content-Language': '`en` or `zh-CN`, after Accept-Language' } } },
    problems: ['invalid-query'],
  })
  async list(
    @Query({ schema: worklistQuery }) query: WorklistQuery, @CurrentPrincipal() { institutionId, permissions }: Principal, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Page<WorklistEntry>> {
    const { limit, cursor, sort, text, ...filter } = query;
    const [seesRuns, seesResults] = [permissions.has('analyses:read'), permissions.has('results:read')];
    // What is not shown is not found out by filters either.
    if (!seesRuns && filter.analysisStatus !== undefined) throw new AppError('forbidden', { detail: 'This needs the permission analyses:read.' });
    if (!seesResults && (filter.resultStatus !== undefined || filter.critical === true)) throw new AppError('forbidden', { detail: 'This needs the permission results:read.' });
    const language = languageOf(request.headers['accept-language']);
    speaks(reply, language);
    const tokens = text === undefined ? undefined : await this.headings.tokensOf(institutionId, text);
    const studies = await this.store.list(institutionId, { ...filter, tokens }, sort, limit + 1, cursor);
    const shown = studies.slice(0, limit);
    noteForAudit(request, { studyInstanceUids: shown.map(({ studyInstanceUid }) => studyInstanceUid) });
    const ids = shown.map(({ id }) => id);
    const [opened, runs, results] = await Promise.all([
      this.headings.open(shown), seesRuns ? this.store.runsOf(institutionId, ids) : [], seesResults ? this.results.linesOf(institutionId, ids, language) : [],
    ]);
    const [runsOf, resultsOf] = [groupBy(runs, ({ studyId }) => studyId), groupBy(results, ({ studyId }) => studyId)];
    return pageOf(studies, limit, (study) => worklistEntry({ ...study, critical: study.critical && seesResults }, opened.get(study.id), runsOf.get(study.id) ?? [], resultsOf.get(study.id) ?? []));
  }
}
