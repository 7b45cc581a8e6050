import { Controller, Inject, Param, Post, Req, Res } from '@nestjs/common';
import { ApiBody, ApiConsumes, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { DicomJson } from '../../imaging/dicom/dicom-json.js';
import { AppError, type ErrorCode } from '../../kernel/errors.js';
import { noteForAudit } from '../../platform/audit/audit-note.js';
import { CONFIG, type Config } from '../../platform/config.js';
import { CurrentPrincipal, RequirePermission, type Principal } from '../../platform/http/access.js';
import { Operation, type OperationDescription } from '../../platform/http/openapi.js';
import { UploadMeter } from './byte-source.js';
import { waitingFor } from './client-patience.js';
import { readOff } from './image-upload.js';
import { stowResponse, studiesUrlOf } from './stow-response.js';
import { StowService } from './stow.service.js';
import { uidParameter } from './studies-json.js';

const dicomJson = z.record(z.string(), z.unknown()).meta({ id: 'DicomJsonModel', description: 'DICOM JSON Model (PS3.18 Annex F)' });
const reference = { '00081150': { vr: 'UI', Value: ['1.2.840.10008.5.1.4.1.1.1.1'] }, '00081155': { vr: 'UI', Value: ['1.2.840.113619.2.55.1.1.1'] } };
const referenced = { '00081199': { vr: 'SQ', Value: [{ ...reference, '00081190': { vr: 'UR', Value: ['https://host/dicom-web/studies/1.2/series/1.2.3/instances/1.2.840.113619.2.55.1.1.1'] } }] } };
const failed = { '00081198': { vr: 'SQ', Value: [{ ...reference, '00081197': { vr: 'US', Value: [49442] } }] } };

const body = {
  description: 'multipart/related with type="application/dicom" (files) or type="application/dicom+json" (metadata, with bulk data in parts of their own), or one file as application/dicom',
  required: true,
  schema: { type: 'string' as const, format: 'binary' },
};

const operation = (id: string, summary: string, ...more: readonly ErrorCode[]): OperationDescription => ({
  id,
  summary,
  description: 'STOW-RS, PS3.18 §10.5. Parts are stored as they arrive; the answer lists what became of each. A body has at most 100,000 parts; DICOM JSON comes as at most 10,000 data sets in 8 MiB, with 1,000 parts of bulk data.',
  answers: {
    200: { description: 'All instances are stored', mediaType: 'application/dicom+json', schema: dicomJson, example: referenced },
    202: { description: 'Some instances are stored; Failed SOP Sequence says why the others are not', mediaType: 'application/dicom+json', schema: dicomJson, example: { ...referenced, ...failed } },
    409: { description: 'No instance is stored', mediaType: 'application/dicom+json', schema: dicomJson, example: failed },
  },
  problems: ['malformed-multipart', 'payload-too-large', 'unsupported-media-type', 'storage-full', 'storage-unavailable', ...more],
});

@ApiTags('dicomweb')
@Controller('dicom-web/studies')
export class StowController {
  constructor(
    private readonly stow: StowService,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  @Post()
  @RequirePermission('images:write')
  @ApiConsumes('multipart/related', 'application/dicom')
  @ApiBody(body)
  @Operation(operation('storeInstances', 'Store instances'))
  store(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply, @CurrentPrincipal() principal: Principal): Promise<DicomJson> {
    return this.answer(request, reply, { institutionId: principal.institutionId });
  }

  @Post(':study')
  @RequirePermission('images:write')
  @ApiConsumes('multipart/related', 'application/dicom')
  @ApiBody(body)
  @Operation(operation('storeInstancesOfStudy', 'Store instances of one study', 'not-found'))
  storeInStudy(
    @Param('study', { schema: uidParameter }) studyInstanceUid: string, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply, @CurrentPrincipal() principal: Principal,
  ): Promise<DicomJson> {
    return this.answer(request, reply, { institutionId: principal.institutionId, studyInstanceUid });
  }

  private async answer(request: FastifyRequest, reply: FastifyReply, target: { institutionId: string; studyInstanceUid?: string }): Promise<DicomJson> {
    try {
      const meter = new UploadMeter(this.config.MAX_UPLOAD_BYTES);
      meter.announce(request.headers['content-length']);
      const fates = await this.stow.store(request.headers['content-type'], () => meter.measure(waitingFor(request.raw.socket, clientBody(request))), target);
      noteForAudit(request, { studyInstanceUids: fates.flatMap(({ studyInstanceUid }) => studyInstanceUid ?? []), details: { parts: fates.length, stored: fates.filter((fate) => fate.status === 'stored').length } });
      const { status, body: response } = stowResponse(fates, studiesUrlOf({ publicUrl: this.config.PUBLIC_URL, protocol: request.protocol, host: request.host }));
      void reply.status(status).header('Content-Type', 'application/dicom+json; charset=utf-8');
      return response;
    } catch (error) {
      readOff(request);
      throw error;
    }
  }
}

/** The body as it comes from the wire. A client that hangs up ends it with an error, never with an early end. */
async function* clientBody({ raw }: FastifyRequest): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of raw.iterator({ destroyOnReturn: false })) yield chunk as Uint8Array; // requests are in byte mode
  } catch (error) {
    throw new AppError('malformed-multipart', { detail: 'The connection broke.', cause: error });
  }
}
