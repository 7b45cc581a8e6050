import { Controller, Inject, Post, Req, Res } from '@nestjs/common';
import { ApiBody, ApiConsumes, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { noteForAudit } from '../../platform/audit/audit-note.js';
import { CONFIG, type Config } from '../../platform/config.js';
import { CurrentPrincipal, RequirePermission, type Principal } from '../../platform/http/access.js';
import { Idempotent } from '../../platform/http/idempotency.interceptor.js';
import { Operation } from '../../platform/http/openapi.js';
import { fileFateFields } from './fate-json.js';
import { statusOf } from './fate.js';
import { PICTURE_MODALITIES } from './image-fields.js';
import { FILE_FIELD, readOff, uploadParts } from './image-upload.js';
import { UploadService } from './upload.service.js';

const fileFateSchema = z.object(fileFateFields).meta({ id: 'FileFate' });

const uploadAnswer = z.object({ items: z.array(fileFateSchema) }).meta({ id: 'UploadAnswer', description: 'One item per DICOM file, picture, or entry of an archive' });

const stored = { file: 'chest.dcm', status: 'stored', studyInstanceUid: '1.2.840.113619.2.55.1', seriesInstanceUid: '1.2.840.113619.2.55.1.1', sopInstanceUid: '1.2.840.113619.2.55.1.1.1' };
const refused = { file: 'archive.zip/notes.txt', status: 'refused', code: 'not-dicom' };

const text = (description: string, example: string): object => ({ type: 'string', description, example });

@ApiTags('images')
@Controller('api/v1/images')
export class ImagesController {
  constructor(
    private readonly uploads: UploadService,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  @Post()
  @Idempotent({ body: false })
  @RequirePermission('images:write')
  @ApiConsumes('multipart/form-data')
  @ApiBody({
    required: true,
    schema: {
      type: 'object',
      required: [FILE_FIELD],
      properties: {
        [FILE_FIELD]: { type: 'array', items: { type: 'string', format: 'binary' }, description: 'DICOM, ZIP of DICOM, gzip, PNG or JPEG; any number' },
        patientId: text('Pictures only', 'P-1024'),
        patientAge: text('Years, 0 to 150; pictures only', '4'),
        patientSex: { type: 'string', enum: ['M', 'F', 'O'], description: 'Pictures only' },
        modality: { type: 'string', enum: [...PICTURE_MODALITIES], description: 'Pictures only; DX without it' },
        bodyPart: text('Pictures only; CHEST without it', 'CHEST'),
        viewPosition: text('Pictures only', 'AP'),
      },
    },
  })
  @Operation({
    id: 'uploadImages',
    summary: 'Upload images',
    description: 'Stores DICOM files, archives of them, and X-rays as PNG or JPEG, while they arrive. Sending the same bytes again changes nothing.',
    answers: {
      201: { description: 'All files are stored', schema: uploadAnswer, example: { items: [stored] } },
      207: { description: 'Some files are stored', schema: uploadAnswer, example: { items: [stored, refused] } },
      422: { description: 'No file is stored', schema: uploadAnswer, example: { items: [refused] } },
    },
    problems: ['conflict', 'idempotency-key-reused', 'malformed-multipart', 'invalid-body', 'payload-too-large', 'unsupported-media-type', 'storage-full', 'storage-unavailable'],
  })
  async upload(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply, @CurrentPrincipal() { institutionId }: Principal): Promise<z.infer<typeof uploadAnswer>> {
    try {
      const items = await this.uploads.receive(uploadParts(request, this.config.MAX_UPLOAD_BYTES), institutionId);
      noteForAudit(request, { studyInstanceUids: items.flatMap(({ studyInstanceUid }) => studyInstanceUid ?? []), details: { files: items.length, stored: items.filter(({ status }) => status === 'stored').length } });
      void reply.status(statusOf(items));
      return { items };
    } catch (error) {
      readOff(request);
      throw error;
    }
  }
}
