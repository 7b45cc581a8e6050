import { Controller, Get, Param, Query, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { noteForAudit } from '../../../platform/audit/audit-note.js';
import { CurrentPrincipal, RequirePermission, type Principal } from '../../../platform/http/access.js';
import { Operation } from '../../../platform/http/openapi.js';
import { languageOf } from '../../../platform/http/problem.js';
import { etagOf, isNotModified, speaks } from '../../../platform/http/representation.js';
import { askedResult } from '../asked-result.js';
import { ResultsStore, type ResultRecord } from '../results.store.js';
import { assertReleased } from '../withheld.js';
import { comparisonExample, comparisonJson, comparisonSchema, type ComparisonJson } from './comparison-json.js';
import { ComparisonService } from './comparison.service.js';
import { TrendService } from './trend.service.js';

const comparisonQuery = z.strictObject({ with: z.uuid().optional().meta({ description: 'Id of the result to compare with; without it that of the study before', example: comparisonExample.prior.resultId }) });

@ApiTags('results')
@RequirePermission('results:read')
@Controller('api/v1/results')
export class ComparisonController {
  constructor(
    private readonly store: ResultsStore,
    private readonly comparisons: ComparisonService,
    private readonly trends: TrendService,
  ) {}

  @Get(':id/comparison')
  @Operation({
    id: 'compareResult',
    summary: 'What became of the findings since an earlier study',
    description: 'The images of the two studies are aligned, which takes some seconds the first time, and findings are matched where they lie: new, grown, stable, shrunk or gone, with every measurement then and now. Growth of nodules is more than 1.5 mm of diameter or 25 % of volume (Lung-RADS v2022, Fleischner 2017), of tumours 40 % of volume (RANO 2.0). Volumes of segments and probabilities of labels are set against each other by name.',
    answers: { 200: { description: 'The comparison', schema: comparisonSchema, example: comparisonExample, headers: { 'Content-Language': '`en` or `zh-CN`, after Accept-Language' } } },
    problems: ['invalid-query', 'result-not-found', 'result-withheld', 'no-prior-result', 'results-not-comparable', 'overloaded'],
  })
  async compare(
    @Param('id', { schema: z.uuid() }) id: string,
    @Query({ schema: comparisonQuery }) wish: z.infer<typeof comparisonQuery>,
    @CurrentPrincipal() { institutionId }: Principal,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<ComparisonJson> {
    const record = await this.require(request, institutionId, id);
    const language = languageOf(request.headers['accept-language']);
    const compared = await this.comparisons.compare(record, wish.with);
    noteForAudit(request, { studyInstanceUids: [record.studyInstanceUid, compared.prior.record.studyInstanceUid] });
    speaks(reply, language);
    return comparisonJson(compared, language);
  }

  @Get(':id/trend.png')
  @Operation({
    id: 'getResultTrend',
    summary: 'A picture of how the findings developed',
    description: 'Volumes of a tumour, diameters of the nodules of this result or probabilities of positive labels over the studies of the patient, as a small chart: PNG.',
    answers: { 200: { description: 'The picture', mediaType: 'image/png', headers: { ETag: 'Version of this representation', 'Content-Language': '`en` or `zh-CN`, after Accept-Language' } }, 304: { description: 'The caller has this version' } },
    problems: ['result-not-found', 'result-withheld', 'no-prior-result', 'overloaded'],
  })
  async trend(
    @Param('id', { schema: z.uuid() }) id: string,
    @CurrentPrincipal() { institutionId }: Principal,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Uint8Array | undefined> {
    const record = await this.require(request, institutionId, id);
    const language = languageOf(request.headers['accept-language']);
    const { studies, draw } = await this.trends.of(record, language);
    noteForAudit(request, { studyInstanceUids: studies.map(({ record: { studyInstanceUid } }) => studyInstanceUid) });
    const png = await draw();
    if (isNotModified(request, reply, etagOf(...studies.flatMap(({ record: one }) => [one.id, one.updatedAt.getTime()]), language), language)) return undefined;
    void reply.header('Content-Type', 'image/png').header('Content-Disposition', `inline; filename="${id}-trend.png"`);
    return png;
  }

  private async require(request: FastifyRequest, institutionId: string, id: string): Promise<ResultRecord> {
    const record = askedResult(request, await this.store.find(institutionId, id));
    assertReleased(record);
    return record;
  }
}
