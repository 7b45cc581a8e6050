import { applyDecorators, Controller, Get, Inject, Param, Req, Res } from '@nestjs/common';
import { ApiExcludeEndpoint, ApiHeader, ApiParam, ApiQuery, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ErrorCode } from '../../../kernel/errors.js';
import { CONFIG, type Config } from '../../../platform/config.js';
import { CurrentPrincipal, RequirePermission, type Principal } from '../../../platform/http/access.js';
import { Operation } from '../../../platform/http/openapi.js';
import { uidParameter } from '../studies-json.js';
import { BulkDataService } from './bulk-data.service.js';
import { frameList } from './frame-list.js';
import type { InstanceScope, RetrievalScope } from './retrieval.store.js';
import { WadoRequest } from './wado-request.js';

const MEDIA_TYPES = `\`application/octet-stream\` is uncompressed, little endian; with \`transfer-syntax=*\` it is as the frames are stored, and the answer says how. \
\`image/jpeg\`, \`image/jls\`, \`image/jp2\`, \`image/jphc\` and \`image/dicom-rle\` are codestreams: those that are stored, or made without loss where that can be done.`;
const problems: readonly ErrorCode[] = ['study-not-found', 'not-acceptable', 'invalid-query', 'blob-corrupt', 'blob-missing', 'key-destroyed', 'storage-unavailable', 'overloaded'];
const ofInstance: readonly ErrorCode[] = [...problems, 'series-not-found', 'instance-not-found'];

const accepts = ApiQuery({ name: 'accept', description: 'Media types, before those of the header', required: false, schema: { type: 'string' } });

const whole = (id: string, summary: string, missing: readonly ErrorCode[]): MethodDecorator => applyDecorators(
  Operation({
    id, summary, description: `WADO-RS, PS3.18 §10.4.3.3.5. ${MEDIA_TYPES} Content-Location is the BulkDataURI of the metadata.`,
    answers: { 200: { description: 'A part for each value, or for each frame where frames are compressed', mediaType: 'multipart/related' } },
    problems: [...problems, ...missing, 'bulk-data-not-found'],
  }),
  accepts,
);

/** Frames and large values. */
@ApiTags('dicomweb')
@Controller('dicom-web/studies/:study')
export class BulkDataController {
  constructor(
    private readonly bulkData: BulkDataService,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  @Get('series/:series/instances/:instance/frames/:frames')
  @RequirePermission('images:read')
  @Operation({
    id: 'retrieveFrames', summary: 'Retrieve frames',
    description: `WADO-RS, PS3.18 §10.4. A part for each frame, in the order asked for; one frame may stand alone. ${MEDIA_TYPES}`,
    answers: { 200: { description: 'The frames', mediaType: 'multipart/related', headers: { ETag: 'Of the frames' } }, 304: { description: 'Nothing has changed' } },
    problems: [...ofInstance, 'frame-not-found'],
  })
  @ApiParam({ name: 'frames', description: 'Numbers from 1, separated by commas', schema: { type: 'string' }, example: '1,2' })
  @accepts
  async frames(
    @Param('study', { schema: uidParameter }) studyInstanceUid: string, @Param('series', { schema: uidParameter }) seriesInstanceUid: string, @Param('instance', { schema: uidParameter }) sopInstanceUid: string,
    @Param('frames') frames: string, @Req() request: FastifyRequest, @Res() reply: FastifyReply, @CurrentPrincipal() { institutionId }: Principal,
  ): Promise<void> {
    const scope: InstanceScope = { institutionId, studyInstanceUid, seriesInstanceUid, sopInstanceUid };
    const wado = new WadoRequest(request, reply, this.config);
    await wado.send(this.bulkData.frames(scope, frameList(frames), wado.acceptance, wado.conditions, wado.instanceUrl(scope)));
  }

  @Get('series/:series/instances/:instance/bulkdata/:tag')
  @RequirePermission('images:read')
  @Operation({
    id: 'retrieveBulkDataValue', summary: 'Retrieve a large value',
    description: `WADO-RS, PS3.18 §10.4.1.1.5: what a BulkDataURI of the metadata refers to. In sequences, the path goes on with the number of the item and the next tag: \`54000100/0/54001010\`. ${MEDIA_TYPES}`,
    answers: {
      200: { description: 'The value', mediaType: 'application/octet-stream', headers: { ETag: 'Of the value' } },
      206: { description: 'The range that was asked for', mediaType: 'application/octet-stream', headers: { 'Content-Range': 'Which bytes these are' } },
      304: { description: 'Nothing has changed' },
    },
    problems: [...ofInstance, 'bulk-data-not-found', 'range-not-satisfiable'],
  })
  @ApiParam({ name: 'tag', description: 'Eight hexadecimal digits', schema: { type: 'string' }, example: '7FE00010' })
  @accepts
  @ApiHeader({ name: 'Range', description: 'One range of bytes', required: false, schema: { type: 'string' } })
  value(
    @Param('study', { schema: uidParameter }) studyInstanceUid: string, @Param('series', { schema: uidParameter }) seriesInstanceUid: string, @Param('instance', { schema: uidParameter }) sopInstanceUid: string,
    @Param('tag') tag: string, @Req() request: FastifyRequest, @Res() reply: FastifyReply, @CurrentPrincipal() { institutionId }: Principal,
  ): Promise<void> {
    return this.answerValue(request, reply, { institutionId, studyInstanceUid, seriesInstanceUid, sopInstanceUid }, tag);
  }

  @Get('series/:series/instances/:instance/bulkdata/:tag/*')
  @RequirePermission('images:read')
  // The path above describes it: OpenAPI has no parameters with slashes.
  @ApiExcludeEndpoint()
  nestedValue(
    @Param('study', { schema: uidParameter }) studyInstanceUid: string, @Param('series', { schema: uidParameter }) seriesInstanceUid: string, @Param('instance', { schema: uidParameter }) sopInstanceUid: string,
    @Param('tag') tag: string, @Param('*') nested: string, @Req() request: FastifyRequest, @Res() reply: FastifyReply, @CurrentPrincipal() { institutionId }: Principal,
  ): Promise<void> {
    return this.answerValue(request, reply, { institutionId, studyInstanceUid, seriesInstanceUid, sopInstanceUid }, `${tag}/${nested}`);
  }

  @Get('bulkdata')
  @RequirePermission('images:read')
  @whole('retrieveStudyBulkData', 'Bulk data of a study', [])
  studyBulkData(@Param('study', { schema: uidParameter }) studyInstanceUid: string, @Req() request: FastifyRequest, @Res() reply: FastifyReply, @CurrentPrincipal() { institutionId }: Principal): Promise<void> {
    return this.answerAll(request, reply, { institutionId, studyInstanceUid }, 'bulk-data');
  }

  @Get('series/:series/bulkdata')
  @RequirePermission('images:read')
  @whole('retrieveSeriesBulkData', 'Bulk data of a series', ['series-not-found'])
  seriesBulkData(
    @Param('study', { schema: uidParameter }) studyInstanceUid: string, @Param('series', { schema: uidParameter }) seriesInstanceUid: string,
    @Req() request: FastifyRequest, @Res() reply: FastifyReply, @CurrentPrincipal() { institutionId }: Principal,
  ): Promise<void> {
    return this.answerAll(request, reply, { institutionId, studyInstanceUid, seriesInstanceUid }, 'bulk-data');
  }

  @Get('series/:series/instances/:instance/bulkdata')
  @RequirePermission('images:read')
  @whole('retrieveInstanceBulkData', 'Bulk data of an instance', ['series-not-found', 'instance-not-found'])
  instanceBulkData(
    @Param('study', { schema: uidParameter }) studyInstanceUid: string, @Param('series', { schema: uidParameter }) seriesInstanceUid: string, @Param('instance', { schema: uidParameter }) sopInstanceUid: string,
    @Req() request: FastifyRequest, @Res() reply: FastifyReply, @CurrentPrincipal() { institutionId }: Principal,
  ): Promise<void> {
    return this.answerAll(request, reply, { institutionId, studyInstanceUid, seriesInstanceUid, sopInstanceUid }, 'bulk-data');
  }

  @Get('pixeldata')
  @RequirePermission('images:read')
  @whole('retrieveStudyPixelData', 'Pixel data of a study', [])
  studyPixelData(@Param('study', { schema: uidParameter }) studyInstanceUid: string, @Req() request: FastifyRequest, @Res() reply: FastifyReply, @CurrentPrincipal() { institutionId }: Principal): Promise<void> {
    return this.answerAll(request, reply, { institutionId, studyInstanceUid }, 'pixel-data');
  }

  @Get('series/:series/pixeldata')
  @RequirePermission('images:read')
  @whole('retrieveSeriesPixelData', 'Pixel data of a series', ['series-not-found'])
  seriesPixelData(
    @Param('study', { schema: uidParameter }) studyInstanceUid: string, @Param('series', { schema: uidParameter }) seriesInstanceUid: string,
    @Req() request: FastifyRequest, @Res() reply: FastifyReply, @CurrentPrincipal() { institutionId }: Principal,
  ): Promise<void> {
    return this.answerAll(request, reply, { institutionId, studyInstanceUid, seriesInstanceUid }, 'pixel-data');
  }

  @Get('series/:series/instances/:instance/pixeldata')
  @RequirePermission('images:read')
  @whole('retrieveInstancePixelData', 'Pixel data of an instance', ['series-not-found', 'instance-not-found'])
  instancePixelData(
    @Param('study', { schema: uidParameter }) studyInstanceUid: string, @Param('series', { schema: uidParameter }) seriesInstanceUid: string, @Param('instance', { schema: uidParameter }) sopInstanceUid: string,
    @Req() request: FastifyRequest, @Res() reply: FastifyReply, @CurrentPrincipal() { institutionId }: Principal,
  ): Promise<void> {
    return this.answerAll(request, reply, { institutionId, studyInstanceUid, seriesInstanceUid, sopInstanceUid }, 'pixel-data');
  }

  private async answerValue(request: FastifyRequest, reply: FastifyReply, scope: InstanceScope, path: string): Promise<void> {
    const wado = new WadoRequest(request, reply, this.config);
    await wado.send(this.bulkData.value(scope, path, wado.acceptance, wado.conditions, wado.instanceUrl(scope)));
  }

  private async answerAll(request: FastifyRequest, reply: FastifyReply, scope: RetrievalScope, what: 'bulk-data' | 'pixel-data'): Promise<void> {
    const wado = new WadoRequest(request, reply, this.config);
    await wado.send(this.bulkData.all(scope, what, wado.acceptance, (row) => wado.instanceUrl(row)));
  }
}
