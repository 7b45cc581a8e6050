import { Controller, Get, Param, Query, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { PLANES } from '../../imaging/render/plane-view.js';
import { noteForAudit } from '../../platform/audit/audit-note.js';
import { CurrentPrincipal, RequirePermission, type Principal } from '../../platform/http/access.js';
import { Operation } from '../../platform/http/openapi.js';
import { pageOf, pageQuery, type Page } from '../../platform/http/page.js';
import { languageOf } from '../../platform/http/problem.js';
import { isNotModified, matches, speaks } from '../../platform/http/representation.js';
import { askedResult } from './asked-result.js';
import { etagsOf, findingsJson, resultExample, resultPageSchema, resultSchema, type ResultJson } from './findings-json.js';
import { PreviewService } from './preview.service.js';
import { ResultsStore, type ResultRecord } from './results.store.js';
import { assertReleased } from './withheld.js';

const moment = z.iso.datetime({ offset: true }).transform((text) => new Date(text));

const listQuery = z.strictObject({
  ...pageQuery.shape,
  studyInstanceUid: z.string().max(64).optional().meta({ description: 'Results of this study', example: resultExample.studyInstanceUid }),
  analysis: z.string().max(64).optional().meta({ description: 'Results of this analysis', example: 'chest-xray-classification' }),
  status: z.enum(['preliminary', 'final', 'amended', 'withheld']).optional().meta({ description: 'Results in this state', example: 'preliminary' }),
  critical: z.enum(['true', 'false']).transform((text) => text === 'true').optional().meta({ description: 'Only results that are critical, or only those that are not', example: 'true' }),
  from: moment.optional().meta({ description: 'Created at or after', example: '2026-11-21T00:00:00Z' }),
  to: moment.optional().meta({ description: 'Created before', example: '2026-11-22T00:00:00Z' }),
});

const previewQuery = z.strictObject({
  finding: z.uuid().optional().meta({ description: 'Id of the finding to show', example: '0198c0de-4a10-7c3e-9d52-6f0f1c2b3a4a' }),
  label: z.string().max(100).optional().meta({ description: 'Name of the label to show; by default the one that says most', example: 'Pneumonia' }),
  plane: z.enum([...PLANES, 'all']).optional().meta({ description: 'Of a finding in a volume; `all` (default) shows the three of them together', example: 'all' }),
  crop: z.enum(['true', 'false']).transform((text) => text === 'true').optional().meta({ description: '`false` shows a finding in a volume with the whole planes instead of its surroundings', example: 'true' }),
  version: z.coerce.number().int().min(1).max(100_000).optional().meta({ description: 'Changes nothing: for pages, whose pictures are to have another address when the result has changed', example: 2 }),
});

const LANGUAGE_HEADERS = { ETag: 'Version of this representation', 'Content-Language': '`en` or `zh-CN`, after Accept-Language' };

@ApiTags('results')
@RequirePermission('results:read')
@Controller('api/v1/results')
export class ResultsController {
  constructor(
    private readonly store: ResultsStore,
    private readonly previews: PreviewService,
  ) {}

  @Get()
  @Operation({
    id: 'listResults',
    summary: 'List results, newest first',
    answers: { 200: { description: 'A page of results', schema: resultPageSchema, example: { items: [resultExample], nextCursor: null }, headers: { 'Content-Language': LANGUAGE_HEADERS['Content-Language'] } } },
    problems: ['invalid-query'],
  })
  async list(
    @Query({ schema: listQuery }) { limit, cursor, ...filter }: z.infer<typeof listQuery>,
    @CurrentPrincipal() { institutionId }: Principal,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Page<ResultJson>> {
    const language = languageOf(request.headers['accept-language']);
    speaks(reply, language);
    const records = await this.store.list(institutionId, filter, limit + 1, cursor);
    noteForAudit(request, { studyInstanceUids: records.slice(0, limit).map(({ studyInstanceUid }) => studyInstanceUid) });
    return pageOf(records, limit, (record) => findingsJson(record, language));
  }

  @Get(':id')
  @Operation({
    id: 'getResult',
    summary: 'One result',
    description: 'Findings, labels, segments, measurements and provenance of one analysis. `Accept-Language: zh-CN` gives the summary, the display names and the disclaimer in Chinese. Of a result that is `withheld` nothing is released but why: its SEG or SR did not pass the checks.',
    answers: { 200: { description: 'The result', schema: resultSchema, example: resultExample, headers: LANGUAGE_HEADERS }, 304: { description: 'The caller has this version' } },
    problems: ['result-not-found'],
  })
  async get(
    @Param('id', { schema: z.uuid() }) id: string,
    @CurrentPrincipal() { institutionId }: Principal,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<ResultJson | undefined> {
    const record = await this.require(request, institutionId, id);
    const language = languageOf(request.headers['accept-language']);
    if (isNotModified(request, reply, etagsOf(record)[language], language)) return undefined;
    return findingsJson(record, language);
  }

  @Get(':id/preview.png')
  @Operation({
    id: 'getResultPreview',
    summary: 'A picture of what a result says',
    description:
      'The image, windowed for reading, with what was found marked on it and a legend below: PNG, at most 1024 pixels on the long side. Of an X-ray the key image with the heat map of what drove the score; `finding` goes before `label`, and without either it shows the positive label with the highest probability. ' +
      'Of a finding in a volume the planes through it, with the outline of what was segmented (its box where nothing was), a scale bar and letters at the edges for the sides of the patient; without `finding` the most certain one.',
    answers: {
      200: { description: 'The picture', mediaType: 'image/png', headers: LANGUAGE_HEADERS },
      304: { description: 'The caller has this version' },
    },
    problems: ['invalid-query', 'result-not-found', 'result-withheld', 'finding-not-found', 'instance-not-found', 'source-changed', 'overloaded'],
  })
  async preview(
    @Param('id', { schema: z.uuid() }) id: string,
    @Query({ schema: previewQuery }) { plane, crop, ...wish }: z.infer<typeof previewQuery>,
    @CurrentPrincipal() { institutionId }: Principal,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Uint8Array | undefined> {
    const record = await this.require(request, institutionId, id);
    const language = languageOf(request.headers['accept-language']);
    assertReleased(record);
    const preview = this.previews.of(record, wish, language, { plane, crop });
    // Drawn before any header is set: a failure must not carry the picture's ETag.
    const png = matches(request.headers['if-none-match'], preview.etag) ? undefined : await preview.draw();
    if (isNotModified(request, reply, preview.etag, language)) return undefined;
    void reply.header('Content-Type', 'image/png').header('Content-Disposition', `inline; filename="${id}.png"`);
    return png;
  }

  private async require(request: FastifyRequest, institutionId: string, id: string): Promise<ResultRecord> {
    return askedResult(request, await this.store.find(institutionId, id));
  }
}
