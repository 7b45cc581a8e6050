import { applyDecorators, Controller, Get, Inject, Param, Req, Res } from '@nestjs/common';
import { ApiParam, ApiQuery, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { AppError, type ErrorCode } from '../../../kernel/errors.js';
import { CONFIG, type Config } from '../../../platform/config.js';
import { CurrentPrincipal, RequirePermission, type Principal } from '../../../platform/http/access.js';
import { Operation } from '../../../platform/http/openapi.js';
import { uidParameter } from '../studies-json.js';
import { frameList } from './frame-list.js';
import { renderingQuery } from './rendering-query.js';
import { RenderingService } from './rendering.service.js';
import type { RetrievalScope } from './retrieval.store.js';
import { selectRendered } from './selection.js';
import { WadoRequest } from './wado-request.js';

const MISSING: Record<'study' | 'series' | 'instance', readonly ErrorCode[]> = {
  study: ['study-not-found'],
  series: ['study-not-found', 'series-not-found'],
  instance: ['study-not-found', 'series-not-found', 'instance-not-found'],
};
const problems: readonly ErrorCode[] = ['not-acceptable', 'invalid-query', 'blob-corrupt', 'blob-missing', 'key-destroyed', 'storage-unavailable', 'overloaded', 'processing-timeout'];
const PICTURE = { description: 'The picture; `image/jpeg` unless `image/png` is asked for', mediaType: 'image/jpeg', headers: { ETag: 'Of the picture' } };
const UNCHANGED = { description: 'Nothing has changed' };

const parameter = (name: string, description: string): MethodDecorator => ApiQuery({ name, description, required: false, schema: { type: 'string' } });
const framesParameter = ApiParam({ name: 'frames', description: 'Numbers from 1, separated by commas', schema: { type: 'string' }, example: '1' });

const rendered = (id: string, summary: string, level: keyof typeof MISSING, more: readonly ErrorCode[] = []): MethodDecorator => applyDecorators(
  Operation({
    id, summary,
    description: 'WADO-RS, PS3.18 §10.4.1.1.3. A picture of the image that stands for the resource: the middle one of its largest series, the representative frame of an instance. '
      + 'As `multipart/related; type="image/jpeg"` (or `image/png`) all images, a part for each frame. Objects without an image are answered with 406.',
    answers: { 200: PICTURE, 304: UNCHANGED },
    problems: [...MISSING[level], ...more, ...problems],
  }),
  parameter('accept', 'Media types, before those of the header'),
  parameter('window', 'Center, width and function: `40,400,linear`; functions are `linear`, `linear-exact` and `sigmoid`'),
  parameter('viewport', 'Width and height, then x, y, width and height of a region: `512,512,0,0,256,256`; a negative width or height of the region turns it over'),
  parameter('quality', 'Of JPEG, 1 to 100'),
);

const thumbnail = (id: string, summary: string, level: keyof typeof MISSING, more: readonly ErrorCode[] = []): MethodDecorator => applyDecorators(
  Operation({
    id, summary, description: 'WADO-RS, PS3.18 §10.4.1.1.4. As the rendered resource, small: at most 128 pixels a side, or as large as `viewport` says. 404 where there is no image.',
    answers: { 200: PICTURE, 304: UNCHANGED },
    problems: [...MISSING[level], ...more, 'not-found', ...problems],
  }),
  parameter('accept', 'Media types, before those of the header'),
  parameter('viewport', 'Width and height: `64,64`'),
);

/** Studies, series, instances and frames as pictures. */
@ApiTags('dicomweb')
@Controller('dicom-web/studies/:study')
export class RenderedController {
  constructor(
    private readonly rendering: RenderingService,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  @Get('rendered')
  @RequirePermission('images:read')
  @rendered('retrieveRenderedStudy', 'Render a study', 'study')
  study(@Param('study', { schema: uidParameter }) studyInstanceUid: string, @Req() request: FastifyRequest, @Res() reply: FastifyReply, @CurrentPrincipal() { institutionId }: Principal): Promise<void> {
    return this.answer(request, reply, { institutionId, studyInstanceUid }, 'rendered');
  }

  @Get('series/:series/rendered')
  @RequirePermission('images:read')
  @rendered('retrieveRenderedSeries', 'Render a series', 'series')
  series(
    @Param('study', { schema: uidParameter }) studyInstanceUid: string, @Param('series', { schema: uidParameter }) seriesInstanceUid: string,
    @Req() request: FastifyRequest, @Res() reply: FastifyReply, @CurrentPrincipal() { institutionId }: Principal,
  ): Promise<void> {
    return this.answer(request, reply, { institutionId, studyInstanceUid, seriesInstanceUid }, 'rendered');
  }

  @Get('series/:series/instances/:instance/rendered')
  @RequirePermission('images:read')
  @rendered('retrieveRenderedInstance', 'Render an instance', 'instance')
  instance(
    @Param('study', { schema: uidParameter }) studyInstanceUid: string, @Param('series', { schema: uidParameter }) seriesInstanceUid: string, @Param('instance', { schema: uidParameter }) sopInstanceUid: string,
    @Req() request: FastifyRequest, @Res() reply: FastifyReply, @CurrentPrincipal() { institutionId }: Principal,
  ): Promise<void> {
    return this.answer(request, reply, { institutionId, studyInstanceUid, seriesInstanceUid, sopInstanceUid }, 'rendered');
  }

  @Get('series/:series/instances/:instance/frames/:frames/rendered')
  @RequirePermission('images:read')
  @rendered('retrieveRenderedFrames', 'Render frames', 'instance', ['bad-request', 'frame-not-found'])
  @framesParameter
  frames(
    @Param('study', { schema: uidParameter }) studyInstanceUid: string, @Param('series', { schema: uidParameter }) seriesInstanceUid: string, @Param('instance', { schema: uidParameter }) sopInstanceUid: string,
    @Param('frames') frames: string, @Req() request: FastifyRequest, @Res() reply: FastifyReply, @CurrentPrincipal() { institutionId }: Principal,
  ): Promise<void> {
    return this.answer(request, reply, { institutionId, studyInstanceUid, seriesInstanceUid, sopInstanceUid }, 'rendered', frameList(frames));
  }

  @Get('thumbnail')
  @RequirePermission('images:read')
  @thumbnail('retrieveStudyThumbnail', 'Thumbnail of a study', 'study')
  studyThumbnail(@Param('study', { schema: uidParameter }) studyInstanceUid: string, @Req() request: FastifyRequest, @Res() reply: FastifyReply, @CurrentPrincipal() { institutionId }: Principal): Promise<void> {
    return this.answer(request, reply, { institutionId, studyInstanceUid }, 'thumbnail');
  }

  @Get('series/:series/thumbnail')
  @RequirePermission('images:read')
  @thumbnail('retrieveSeriesThumbnail', 'Thumbnail of a series', 'series')
  seriesThumbnail(
    @Param('study', { schema: uidParameter }) studyInstanceUid: string, @Param('series', { schema: uidParameter }) seriesInstanceUid: string,
    @Req() request: FastifyRequest, @Res() reply: FastifyReply, @CurrentPrincipal() { institutionId }: Principal,
  ): Promise<void> {
    return this.answer(request, reply, { institutionId, studyInstanceUid, seriesInstanceUid }, 'thumbnail');
  }

  @Get('series/:series/instances/:instance/thumbnail')
  @RequirePermission('images:read')
  @thumbnail('retrieveInstanceThumbnail', 'Thumbnail of an instance', 'instance')
  instanceThumbnail(
    @Param('study', { schema: uidParameter }) studyInstanceUid: string, @Param('series', { schema: uidParameter }) seriesInstanceUid: string, @Param('instance', { schema: uidParameter }) sopInstanceUid: string,
    @Req() request: FastifyRequest, @Res() reply: FastifyReply, @CurrentPrincipal() { institutionId }: Principal,
  ): Promise<void> {
    return this.answer(request, reply, { institutionId, studyInstanceUid, seriesInstanceUid, sopInstanceUid }, 'thumbnail');
  }

  @Get('series/:series/instances/:instance/frames/:frames/thumbnail')
  @RequirePermission('images:read')
  @thumbnail('retrieveFrameThumbnail', 'Thumbnail of frames', 'instance', ['bad-request', 'frame-not-found'])
  @framesParameter
  frameThumbnail(
    @Param('study', { schema: uidParameter }) studyInstanceUid: string, @Param('series', { schema: uidParameter }) seriesInstanceUid: string, @Param('instance', { schema: uidParameter }) sopInstanceUid: string,
    @Param('frames') frames: string, @Req() request: FastifyRequest, @Res() reply: FastifyReply, @CurrentPrincipal() { institutionId }: Principal,
  ): Promise<void> {
    return this.answer(request, reply, { institutionId, studyInstanceUid, seriesInstanceUid, sopInstanceUid }, 'thumbnail', frameList(frames));
  }

  private async answer(request: FastifyRequest, reply: FastifyReply, scope: RetrievalScope, kind: 'rendered' | 'thumbnail', frames?: readonly number[]): Promise<void> {
    const wado = new WadoRequest(request, reply, this.config);
    const isThumbnail = kind === 'thumbnail';
    const target = { frames, query: renderingQuery(wado.query, isThumbnail), isThumbnail };
    const selection = selectRendered(wado.acceptance, (frames?.length ?? 1) > 1);
    if (selection === undefined) throw new AppError('not-acceptable', { detail: 'Pictures are sent as image/jpeg or image/png; several of them as parts of multipart/related.' });
    if (selection.packaging === 'single') await wado.send(this.rendering.one(scope, target, selection.format, wado.conditions));
    else await wado.send(this.rendering.all(scope, target, selection.format, (row) => wado.instanceUrl(row)));
  }
}
