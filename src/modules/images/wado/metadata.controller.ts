import { applyDecorators, Controller, Get, Inject, Param, Req, Res } from '@nestjs/common';
import { ApiQuery, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { AppError, type ErrorCode } from '../../../kernel/errors.js';
import { CONFIG, type Config } from '../../../platform/config.js';
import { CurrentPrincipal, RequirePermission, type Principal } from '../../../platform/http/access.js';
import { Operation } from '../../../platform/http/openapi.js';
import { uidParameter } from '../studies-json.js';
import { gzipped, MetadataService } from './metadata.service.js';
import type { RetrievalScope } from './retrieval.store.js';
import { selectMetadata } from './selection.js';
import { WadoRequest } from './wado-request.js';

const dataSets = z.array(z.record(z.string(), z.unknown())).meta({ id: 'DicomJsonResults', description: 'DICOM JSON Model (PS3.18 Annex F), one data set for each result' });
const example = [{
  '00080018': { vr: 'UI', Value: ['1.2.840.113619.2.55.1.1.1'] }, '00280010': { vr: 'US', Value: [512] },
  '7FE00010': { vr: 'OW', BulkDataURI: 'https://host/dicom-web/studies/1.2.840.113619.2.55.1/series/1.2.840.113619.2.55.1.1/instances/1.2.840.113619.2.55.1.1.1/bulkdata/7FE00010' },
}];

const metadata = (id: string, summary: string, missing: readonly ErrorCode[]): MethodDecorator => applyDecorators(Operation({
  id, summary,
  description: 'WADO-RS, PS3.18 §10.4.1.1.2. All attributes of every instance; large values and pixel data by a BulkDataURI. Compressed for clients that accept gzip. There is no XML.',
  answers: {
    200: { description: 'A data set for each instance', mediaType: 'application/dicom+json', schema: dataSets, example, headers: { ETag: 'State of the study' } },
    304: { description: 'Nothing has changed' },
  },
  problems: ['study-not-found', ...missing, 'not-acceptable', 'invalid-query', 'blob-corrupt', 'key-destroyed'],
}), ApiQuery({ name: 'accept', description: 'Media types, before those of the header', required: false, schema: { type: 'string' } }));

/** Attributes of studies, series and instances. */
@ApiTags('dicomweb')
@Controller('dicom-web/studies/:study')
export class MetadataController {
  constructor(
    private readonly metadata: MetadataService,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  @Get('metadata')
  @RequirePermission('images:read')
  @metadata('retrieveStudyMetadata', 'Metadata of a study', [])
  study(@Param('study', { schema: uidParameter }) studyInstanceUid: string, @Req() request: FastifyRequest, @Res() reply: FastifyReply, @CurrentPrincipal() { institutionId }: Principal): Promise<void> {
    return this.answer(request, reply, { institutionId, studyInstanceUid });
  }

  @Get('series/:series/metadata')
  @RequirePermission('images:read')
  @metadata('retrieveSeriesMetadata', 'Metadata of a series', ['series-not-found'])
  series(
    @Param('study', { schema: uidParameter }) studyInstanceUid: string, @Param('series', { schema: uidParameter }) seriesInstanceUid: string,
    @Req() request: FastifyRequest, @Res() reply: FastifyReply, @CurrentPrincipal() { institutionId }: Principal,
  ): Promise<void> {
    return this.answer(request, reply, { institutionId, studyInstanceUid, seriesInstanceUid });
  }

  @Get('series/:series/instances/:instance/metadata')
  @RequirePermission('images:read')
  @metadata('retrieveInstanceMetadata', 'Metadata of an instance', ['series-not-found', 'instance-not-found'])
  instance(
    @Param('study', { schema: uidParameter }) studyInstanceUid: string, @Param('series', { schema: uidParameter }) seriesInstanceUid: string, @Param('instance', { schema: uidParameter }) sopInstanceUid: string,
    @Req() request: FastifyRequest, @Res() reply: FastifyReply, @CurrentPrincipal() { institutionId }: Principal,
  ): Promise<void> {
    return this.answer(request, reply, { institutionId, studyInstanceUid, seriesInstanceUid, sopInstanceUid });
  }

  private async answer(request: FastifyRequest, reply: FastifyReply, scope: RetrievalScope): Promise<void> {
    const wado = new WadoRequest(request, reply, this.config);
    const mediaType = selectMetadata(wado.acceptance);
    if (mediaType === undefined) throw new AppError('not-acceptable', { detail: 'Metadata are sent as application/dicom+json.' });
    void reply.header('Vary', `${String(reply.getHeader('Vary'))}, Accept-Encoding`);
    const json = await this.metadata.json(scope, wado.studiesUrl, request.headers['if-none-match'] === undefined ? undefined : wado.conditions.has);
    if (!('chunks' in json)) return wado.send(json);
    const headers = { 'Content-Type': `${mediaType}; charset=utf-8`, 'ETag': json.etag };
    return wado.send(wado.takesGzip ? { status: 200, headers: { ...headers, 'Content-Encoding': 'gzip' }, body: gzipped(json.chunks) } : { status: 200, headers, body: json.chunks });
  }
}
