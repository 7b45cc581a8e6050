import { Body, Controller, Param, Post, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { CurrentPrincipal, RequirePermission, type Principal } from '../../platform/http/access.js';
import { Operation } from '../../platform/http/openapi.js';
import { DeidentifiedExportsService } from './deidentified-exports.service.js';
import { uidParameter } from './studies-json.js';

const options = z.strictObject({
  retainDevice: z.boolean().default(false).meta({ description: 'Retain Device Identity Option' }),
  cleanDescriptors: z.boolean().default(true).meta({ description: 'Clean Descriptors Option: descriptions keep their technical words; without it they go' }),
  longitudinal: z.enum(['shift', 'remove']).default('shift').meta({ description: '`shift`: Retain Longitudinal Temporal Information with Modified Dates Option, every date of a patient by the same number of days' }),
  cleanPixelData: z.boolean().default(true).meta({ description: 'Clean Pixel Data Option: blacks out what templates and ultrasound regions tell; images that may show names and for which nothing tells where are left out. Without it pixels are copied' }),
});

const exportRequest = z
  .strictObject({
    project: z.string().regex(/^(?=.*[A-Za-z0-9])[A-Za-z0-9 _-]{1,64}$/).meta({ description: 'Names the pseudonyms: the same project maps the same UIDs and patients alike, for ever. Becomes part of the Patient ID', example: 'lung-study-7' }),
    options: options.prefault({}),
  })
  .meta({ id: 'DeidentifiedExportRequest', example: { project: 'lung-study-7', options: { retainDevice: true } } });

@ApiTags('studies')
@Controller('api/v1/studies')
export class DeidentifiedExportsController {
  constructor(private readonly exports: DeidentifiedExportsService) {}

  @Post(':studyInstanceUid/deidentified-exports')
  @RequirePermission('images:export')
  @Operation({
    id: 'exportDeidentifiedStudy',
    summary: 'A de-identified copy of a study',
    description:
      'PS3.15 Annex E, Basic Application Level Confidentiality Profile with the options that the body names. A ZIP of `<pseudonym>/<study>/<series>/<instance>.dcm` with new UIDs, made while it is sent; its last entry, `report.json`, '
      + 'tells what was done and which instances were left out, and why. A ZIP without it is not whole. What the pixels show beyond burned-in text, such as a face, stays.',
    answers: { 200: { description: 'The archive', mediaType: 'application/zip' } },
    problems: ['invalid-body', 'study-not-found', 'storage-unavailable'],
  })
  async export(
    @Param('studyInstanceUid', { schema: uidParameter }) studyInstanceUid: string, @Body({ schema: exportRequest }) request: z.output<typeof exportRequest>,
    @CurrentPrincipal() { institutionId }: Principal, @Res() reply: FastifyReply,
  ): Promise<void> {
    const archive = await this.exports.open(institutionId, studyInstanceUid, request);
    void reply.header('Content-Type', 'application/zip').header('Content-Disposition', 'attachment; filename="deidentified-export.zip"').header('Cache-Control', 'no-store').send(archive);
  }
}
