import { Controller, Get, Query, Req, StreamableFile } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import { Readable } from 'node:stream';
import { z } from 'zod';
import { auditNoteOf } from '../../../platform/audit/audit-note.js';
import { AuditWriter } from '../../../platform/audit/audit-writer.js';
import { CurrentPrincipal, RequirePermission, type Principal } from '../../../platform/http/access.js';
import { Operation } from '../../../platform/http/openapi.js';
import { COLUMNS, findingsCsv } from './findings-csv.js';
import { ResultExportStore, type ExportedResult } from './result-export.store.js';

const moment = z.iso.datetime({ offset: true }).transform((text) => new Date(text));

const exportQuery = z.strictObject({
  from: moment.optional().meta({ description: 'Results created at or after', example: '2026-11-01T00:00:00Z' }),
  to: moment.optional().meta({ description: 'Results created before', example: '2026-12-01T00:00:00Z' }),
  analysis: z.string().max(64).optional().meta({ description: 'Results of this analysis', example: 'lung-nodule-detection' }),
});

@ApiTags('results')
@RequirePermission('results:read')
@Controller('api/v1/results')
export class ResultExportController {
  constructor(
    private readonly store: ResultExportStore,
    private readonly audit: AuditWriter,
  ) {}

  @Get('export.csv')
  @Operation({
    id: 'exportFindings',
    summary: 'Findings of a period as a table',
    description:
      'A line for each finding, oldest result first, as it stands after reviews; a result without findings, or one that is withheld, has one line. UTF-8 with a byte order mark, RFC 4180; text that a spreadsheet would take for a formula begins with `\'`. Columns:\n\n' +
      COLUMNS.map(([name, meaning]) => `- \`${name}\`: ${meaning}`).join('\n'),
    answers: { 200: { description: 'The table', mediaType: 'text/csv' } },
    problems: ['invalid-query'],
  })
  export(@Query({ schema: exportQuery }) filter: z.output<typeof exportQuery>, @CurrentPrincipal() principal: Principal, @Req() request: FastifyRequest): StreamableFile {
    const lines = findingsCsv(this.recorded(this.store.pages(principal.institutionId, filter), principal, request));
    return new StreamableFile(Readable.from(lines, { objectMode: false }), { type: 'text/csv; charset=utf-8', disposition: 'attachment; filename="findings.csv"' });
  }

  /** Every page is on record, with its studies, before it leaves: the event of the request itself is written before any of them is read. */
  private async *recorded(pages: AsyncIterable<ExportedResult[]>, { institutionId, id, kind, userId, role, crossing }: Principal, request: FastifyRequest): AsyncGenerator<ExportedResult[]> {
    const { purpose, reason } = auditNoteOf(request);
    for await (const results of pages) {
      await this.audit.write({
        institutionId, actorKind: kind, actorId: id, userId, role, source: request.ip, action: 'exportFindings', outcome: 'succeeded', status: 200, requestId: request.id,
        studyInstanceUids: results.map(({ studyInstanceUid }) => studyInstanceUid), patientIds: results.flatMap(({ patientId }) => patientId ?? []),
        purpose: purpose ?? (crossing ? 'support' : null), reason: reason ?? crossing?.reason ?? null,
        details: { results: results.length, ...(crossing && { fromInstitutionId: crossing.fromInstitutionId }) },
      });
      yield results;
    }
  }
}
