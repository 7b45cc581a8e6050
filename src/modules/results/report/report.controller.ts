import { Controller, Get, Param, Query, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Language } from '../../../kernel/errors.js';
import { noteForAudit } from '../../../platform/audit/audit-note.js';
import { CurrentPrincipal, RequirePermission, type Principal } from '../../../platform/http/access.js';
import { Operation } from '../../../platform/http/openapi.js';
import { languageOf } from '../../../platform/http/problem.js';
import { isNotModified, matches } from '../../../platform/http/representation.js';
import { askedResult } from '../asked-result.js';
import { ResultsStore, type ResultRecord } from '../results.store.js';
import { REPORT_POLICY } from './report-html.js';
import { ReportService, type Report } from './report.service.js';

const reportQuery = z.strictObject({
  language: z.enum(['en', 'zh-CN']).optional().meta({ description: 'Instead of Accept-Language, for links', example: 'zh-CN' }),
});

const HEADERS = { ETag: 'Version of this representation', 'Content-Language': '`en` or `zh-CN`' };
const PROBLEMS = ['invalid-query', 'result-not-found', 'result-withheld', 'study-not-found', 'overloaded'] as const;
const CONTENT =
  'Patient and study, whether a person signed, findings with their measurements, or labels with their probabilities, what a reader made of them, up to three pictures with what was found marked on them, what changed since the study before, the model and its limits. Where the images of the two studies were not aligned yet, the report says so, and a later one has the comparison. A picture whose image is not stored any more is left out, and the report says so. ';

/** What one result says, for people and for paper. */
@ApiTags('results')
@RequirePermission('results:read')
@Controller('api/v1/results')
export class ReportController {
  constructor(
    private readonly store: ResultsStore,
    private readonly reports: ReportService,
  ) {}

  @Get(':id/report.pdf')
  @Operation({
    id: 'getResultReportPdf',
    summary: 'The report of a result as PDF',
    description: `${CONTENT}One A4 page; rows of long tables that it has no room for follow on further pages. Text can be searched and copied. Characters that the fonts lack are marked.`,
    answers: { 200: { description: 'The report', mediaType: 'application/pdf', headers: HEADERS }, 304: { description: 'The caller has this version' } },
    problems: PROBLEMS,
  })
  async pdf(
    @Param('id', { schema: z.uuid() }) id: string, @Query({ schema: reportQuery }) query: z.infer<typeof reportQuery>, @CurrentPrincipal() { institutionId }: Principal,
    @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Uint8Array | undefined> {
    return this.answer(request, reply, { id, institutionId, language: query.language }, (record, report) => this.reports.pdf(record, report), () => {
      void reply.header('Content-Type', 'application/pdf').header('Content-Disposition', `inline; filename="report-${id}.pdf"`);
    });
  }

  @Get(':id/report.html')
  @Operation({
    id: 'getResultReportHtml',
    summary: 'The report of a result as a page',
    description: `${CONTENT}The page holds all that it shows, and prints.`,
    answers: { 200: { description: 'The report', mediaType: 'text/html', headers: HEADERS }, 304: { description: 'The caller has this version' } },
    problems: PROBLEMS,
  })
  async html(
    @Param('id', { schema: z.uuid() }) id: string, @Query({ schema: reportQuery }) query: z.infer<typeof reportQuery>, @CurrentPrincipal() { institutionId }: Principal,
    @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<string | undefined> {
    return this.answer(request, reply, { id, institutionId, language: query.language }, (_, report) => this.reports.html(report), () => {
      void reply.header('Content-Type', 'text/html; charset=utf-8').header('Content-Security-Policy', REPORT_POLICY).header('Referrer-Policy', 'no-referrer');
    });
  }

  /** @param describe  sets the headers of the form; called once it is made: a failure must not carry them */
  private async answer<T>(
    request: FastifyRequest, reply: FastifyReply, { id, institutionId, language: wanted }: { id: string; institutionId: string; language: Language | undefined },
    make: (record: ResultRecord, report: Report) => Promise<T>, describe: () => void,
  ): Promise<T | undefined> {
    const record = askedResult(request, await this.store.find(institutionId, id));
    const language = wanted ?? languageOf(request.headers['accept-language']);
    const report = await this.reports.of(record, language);
    noteForAudit(request, { studyInstanceUids: report.earlierStudyInstanceUids });
    const made = matches(request.headers['if-none-match'], report.etag) ? undefined : await make(record, report);
    if (isNotModified(request, reply, report.etag, language)) return undefined;
    describe();
    return made;
  }
}
