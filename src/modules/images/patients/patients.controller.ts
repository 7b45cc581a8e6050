import { Controller, Get, Param, Query, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { AppError } from '../../../kernel/errors.js';
import { noteForAudit } from '../../../platform/audit/audit-note.js';
import { KeyVault } from '../../../platform/crypto/key-vault.js';
import { CurrentPrincipal, RequirePermission, type Principal } from '../../../platform/http/access.js';
import { Operation } from '../../../platform/http/openapi.js';
import { pageOf, type Page } from '../../../platform/http/page.js';
import { beginningOfName, patientIdToken } from '../qido/search-tokens.js';
import { StudyAttributes } from '../study-attributes.js';
import { patientETag, patientExample, patientJson, patientPageSchema, patientQuery, patientSchema, type PatientJson, type PatientQuery } from './patients-json.js';
import { PatientsStore, type PatientFilter } from './patients.store.js';

@ApiTags('patients')
@RequirePermission('patients:read')
@Controller('api/v1/patients')
export class PatientsController {
  constructor(
    private readonly store: PatientsStore,
    private readonly attributes: StudyAttributes,
    private readonly vault: KeyVault,
  ) {}

  @Get()
  @Operation({
    id: 'listPatients', summary: 'List patients', description: 'Newest first. Studies without Patient ID belong to no patient.',
    answers: { 200: { description: 'A page of patients', schema: patientPageSchema, example: { items: [patientExample], nextCursor: null } } },
    problems: ['invalid-query'],
  })
  async list(@Query({ schema: patientQuery }) { limit, cursor, ...wanted }: PatientQuery, @CurrentPrincipal() { institutionId }: Principal, @Req() request: FastifyRequest): Promise<Page<PatientJson>> {
    const rows = await this.store.list(institutionId, await this.filterOf(institutionId, wanted), { limit, cursor });
    const shown = rows.slice(0, limit);
    noteForAudit(request, { patientIds: shown.map(({ id }) => id) });
    const opened = await this.attributes.openAll(shown.map(({ newest }) => newest));
    return pageOf(rows, limit, (row) => patientJson(row, opened.get(row.newest.id)));
  }

  @Get(':id')
  @Operation({
    id: 'getPatient', summary: 'One patient',
    answers: { 200: { description: 'The patient', schema: patientSchema, example: patientExample, headers: { ETag: 'State of the patient’s studies, for If-Match' } } },
    problems: ['patient-not-found'],
  })
  async get(@Param('id', { schema: z.uuid() }) id: string, @CurrentPrincipal() { institutionId }: Principal, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<PatientJson> {
    const row = await this.store.find(institutionId, id);
    if (!row) throw new AppError('patient-not-found');
    noteForAudit(request, { patientIds: [id] });
    const opened = await this.attributes.openAll([row.newest]);
    void reply.header('ETag', patientETag(row));
    return patientJson(row, opened.get(row.newest.id));
  }

  private async filterOf(institutionId: string, { patientId, name }: Omit<PatientQuery, 'limit' | 'cursor'>): Promise<PatientFilter> {
    if (patientId === undefined && name === undefined) return {};
    const index = await this.vault.blindIndex(institutionId);
    return {
      patientIdToken: patientId === undefined ? undefined : patientIdToken(index, patientId),
      nameTokens: name === undefined ? undefined : beginningOfName(index, name),
    };
  }
}
