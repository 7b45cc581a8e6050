import { Body, Controller, Delete, Get, Headers, Param, Post, Req, Res } from '@nestjs/common';
import { ApiBody, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { noteForAudit } from '../../../platform/audit/audit-note.js';
import { ReceiptSigner } from '../../../platform/audit/receipt-signer.js';
import { CurrentPrincipal, RequirePermission, type Principal } from '../../../platform/http/access.js';
import { TakesIfMatch } from '../../../platform/http/if-match.js';
import { Operation } from '../../../platform/http/openapi.js';
import { languageOf } from '../../../platform/http/problem.js';
import {
  ERASURE_RECEIPT, eraseBody, erasureExample, erasureSchema, erasureStatementSchema, receiptVerificationSchema, verificationExample, verifyReceiptBody, type ErasureJson, type ReceiptVerification,
} from './erasure-json.js';
import { PatientErasureService } from './patient-erasure.service.js';
import { PatientExportService } from './patient-export.service.js';

const id = z.uuid();

/** What a patient may ask of those who keep their data. Here, because all of it is: images, runs and results. */
@ApiTags('patients')
@Controller('api/v1')
export class PatientRightsController {
  constructor(
    private readonly exports: PatientExportService,
    private readonly erasures: PatientErasureService,
    private readonly signer: ReceiptSigner,
  ) {}

  @Get('patients/:id/export')
  @RequirePermission('patients:export')
  @Operation({
    id: 'exportPatient', summary: 'All that is kept of a patient',
    description:
      'GDPR Articles 15 and 20. A ZIP that is made while it is sent: `README.txt`, `patient.json`, `studies.json`, `analyses.json`, `results.json`, every instance as `dicom/<study>/<series>/<instance>.dcm` with a `manifest.json` per study, and '
      + '`manifest.json` at its end, with the SHA-256 of every file. A ZIP without it is not whole. An instance that cannot be read is named in its study’s manifest and left out.',
    answers: { 200: { description: 'The archive', mediaType: 'application/zip', headers: { 'Cache-Control': 'no-store' } } },
    problems: ['patient-not-found', 'storage-unavailable'],
  })
  async export(@Param('id', { schema: id }) patientId: string, @CurrentPrincipal() { institutionId }: Principal, @Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const { patient, archive } = await this.exports.open(institutionId, patientId, languageOf(request.headers['accept-language']));
    noteForAudit(request, { patientIds: [patientId], studyInstanceUids: patient.studyInstanceUids });
    void reply.header('Content-Type', 'application/zip').header('Content-Disposition', `attachment; filename="patient-${patientId}.zip"`).header('Cache-Control', 'no-store').send(archive);
  }

  @Delete('patients/:id')
  @TakesIfMatch()
  @ApiBody({ required: false })
  @RequirePermission('patients:erase')
  @Operation({
    id: 'erasePatient', summary: 'Erase a patient',
    description:
      'GDPR Article 17. Removes all studies, series, instances, analyses, results and notifications, and destroys the keys, so that what still lies in files and backups is unreadable at once. All or nothing: a study under legal hold keeps everything. '
      + 'The signed receipt stays in the audit; keep it, too. Whoever sends an erased study again makes a new patient.',
    answers: { 200: { description: 'The receipt', schema: erasureSchema, example: erasureExample, headers: { 'Cache-Control': 'no-store' } } },
    problems: ['invalid-body', 'patient-not-found', 'precondition-failed', 'study-on-hold'],
  })
  async erase(
    @Param('id', { schema: id }) patientId: string, @Body({ schema: eraseBody.optional() }) body: z.output<typeof eraseBody> | undefined, @CurrentPrincipal() principal: Principal,
    @Headers('if-match') ifMatch: string | undefined, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<ErasureJson> {
    noteForAudit(request, { patientIds: [patientId], ...(body?.reason !== undefined && { reason: body.reason }) });
    const { statement, receipt, studyInstanceUids } = await this.erasures.erase(principal, patientId, body?.reason, ifMatch);
    noteForAudit(request, { studyInstanceUids, details: { receipt } });
    void reply.header('Cache-Control', 'no-store');
    return { receipt, statement };
  }

  @Post('erasure-receipts/verification')
  @RequirePermission('audit:read')
  @Operation({
    id: 'verifyErasureReceipt', summary: 'Whether a receipt of an erasure is ours', description: 'And unchanged, and of the caller’s institution.',
    answers: { 200: { description: 'What the signature says', schema: receiptVerificationSchema, example: verificationExample } },
    problems: ['invalid-body', 'payload-too-large'],
  })
  async verify(@Body({ schema: verifyReceiptBody }) { receipt }: z.output<typeof verifyReceiptBody>, @CurrentPrincipal() { institutionId }: Principal): Promise<ReceiptVerification> {
    const verified = await this.signer.verify(receipt, ERASURE_RECEIPT);
    const statement = erasureStatementSchema.safeParse(verified?.payload);
    if (!verified || !statement.success || statement.data.institution !== institutionId) return { valid: false, statement: null, publicKey: null };
    return { valid: true, statement: statement.data, publicKey: { kid: verified.kid, ...verified.publicJwk } };
  }
}
