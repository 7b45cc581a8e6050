import { Controller, Get, Headers, Param, Query, Res, StreamableFile } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { Readable } from 'node:stream';
import { z } from 'zod';
import { AppError } from '../../../kernel/errors.js';
import { ACTOR_KINDS, shownTime } from '../../../platform/audit/audit-event.js';
import { CurrentPrincipal, RequirePermission, type Principal } from '../../../platform/http/access.js';
import { Operation } from '../../../platform/http/openapi.js';
import { pageOf, pageQuery, type PageQuery } from '../../../platform/http/page.js';
import { accessCsv } from './access-csv.js';
import { auditEventExample, auditEventSchema, factsOf, shownTimeSchema } from './audit-json.js';
import { AuditLogStore, type AccessItem, type AccessSummary } from './audit-log.store.js';

const personSchema = z
  .object({
    actorKind: z.enum(ACTOR_KINDS),
    userId: z.uuid().nullable(),
    actorId: z.uuid().nullable(),
    name: z.string().nullable(),
    role: z.string().nullable(),
    source: z.string().nullable().meta({ description: 'Of what has no id: the worker, the device' }),
    accesses: z.number().int(),
    refused: z.number().int(),
    first: shownTimeSchema,
    last: shownTimeSchema,
    actions: z.array(z.string()),
    purposes: z.array(z.string()),
    reasons: z.array(z.string()),
    emergency: z.boolean().meta({ description: 'At least once in an emergency, past the usual permissions' }),
  })
  .meta({ id: 'AccessReportPerson' });

const accessSchema = auditEventSchema.omit({ position: true, hash: true }).extend({ name: z.string().nullable(), emergency: z.boolean() }).meta({ id: 'AccessReportItem' });

const reportSchema = z
  .object({ patientId: z.uuid(), isKnown: z.boolean().meta({ description: 'false once the patient was erased' }), people: z.array(personSchema), items: z.array(accessSchema), nextCursor: z.uuid().nullable() })
  .meta({ id: 'AccessReport' });

type Report = z.infer<typeof reportSchema>;

const { position: _, hash: __, ...facts } = auditEventExample;
const example: Report = {
  patientId: '0198c0de-0000-7000-8000-0000000000aa', isKnown: true,
  people: [{
    actorKind: 'user', userId: auditEventExample.userId, actorId: auditEventExample.actorId, name: 'Dr. Grace Hopper', role: 'radiologist', source: null, accesses: 3, refused: 0,
    first: '2026-11-20T08:00:00.000Z', last: '2026-11-21T10:00:00.000Z', actions: ['getStudy', 'retrieveStudy'], purposes: [], reasons: [], emergency: false,
  }],
  items: [{ ...facts, name: 'Dr. Grace Hopper', emergency: false }], nextCursor: null,
};

/** Who saw or changed a patient's data: what a patient may ask for. @see GDPR Art. 15, HIPAA §164.528 */
@ApiTags('audit')
@Controller('api/v1/patients')
export class AccessReportController {
  constructor(private readonly log: AuditLogStore) {}

  @Get(':id/access-report')
  @RequirePermission('audit:read')
  @Operation({
    id: 'getAccessReport', summary: 'Who saw or changed a patient’s data',
    description: 'People with what they did, and the single accesses, newest first, page by page. With `Accept: text/csv` all accesses, a line each. The report outlives the patient’s erasure.',
    answers: { 200: { description: 'The report', schema: reportSchema, example, alsoAs: ['text/csv'] } }, problems: ['invalid-query', 'patient-not-found'],
  })
  async report(
    @CurrentPrincipal() { institutionId }: Principal, @Param('id', { schema: z.uuid() }) patientId: string, @Query({ schema: pageQuery }) page: PageQuery,
    @Headers('accept') accept: string | undefined, @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Report | StreamableFile> {
    const [isKnown, people] = await Promise.all([this.log.isPatient(institutionId, patientId), this.log.summary(institutionId, patientId)]);
    if (!isKnown && people.length === 0) throw new AppError('patient-not-found');
    void reply.header('Cache-Control', 'no-store').header('Vary', 'Accept');
    if (/\btext\/csv\b/i.test(accept ?? '')) {
      const lines = accessCsv((cursor, limit) => this.log.accesses(institutionId, patientId, { limit, cursor }));
      return new StreamableFile(Readable.from(lines, { objectMode: false }), { type: 'text/csv; charset=utf-8', disposition: `attachment; filename="access-report-${patientId}.csv"` });
    }
    return { patientId, isKnown, people: people.map(personJson), ...pageOf(await this.log.accesses(institutionId, patientId, page), page.limit, accessJson) };
  }
}

function personJson({ first, last, ...person }: AccessSummary): Report['people'][number] {
  return { ...person, first: shownTime(first), last: shownTime(last) };
}

function accessJson({ name, ...event }: AccessItem): Report['items'][number] {
  return { ...factsOf(event), name, emergency: event.purpose === 'emergency' };
}
