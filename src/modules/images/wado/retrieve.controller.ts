import { applyDecorators, Controller, Get, Inject, Param, Req, Res } from '@nestjs/common';
import { ApiHeader, ApiQuery, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { AppError } from '../../../kernel/errors.js';
import { CONFIG, type Config } from '../../../platform/config.js';
import { CurrentPrincipal, RequirePermission, type Principal } from '../../../platform/http/access.js';
import { Operation } from '../../../platform/http/openapi.js';
import { uidParameter } from '../studies-json.js';
import { BulkDataService } from './bulk-data.service.js';
import { RetrieveService } from './retrieve.service.js';
import type { InstanceScope, RetrievalScope } from './retrieval.store.js';
import { selectInstances } from './selection.js';
import { WadoRequest } from './wado-request.js';

const DESCRIPTION = `WADO-RS, PS3.18 §10.4. A part for each instance, made while it is sent. The transfer syntax is negotiated by \`Accept\` (or the query parameter \`accept\`, which goes first): \
\`multipart/related; type="application/dicom"; transfer-syntax=*\` gets every instance with the very bytes that were stored. Without \`transfer-syntax\`, which stands for \`1.2.840.10008.1.2.1\`, \
instances come in Explicit VR Little Endian, compressed ones decompressed; \`1.2.840.10008.1.2.5\`, \`.4.70\`, \`.4.80\`, \`.4.90\`, \`.4.91\`, \`.4.201\` and \`.4.203\` are made on request, always without loss. \
Instances that cannot be had in an accepted syntax are left out of a study or series, with 206. One whose pixels turn out to be damaged comes as it is stored; its part says in which syntax.`;

const BODY = { description: 'The instances', mediaType: 'multipart/related' };
const problems = ['study-not-found', 'not-acceptable', 'invalid-query', 'blob-corrupt', 'blob-missing', 'key-destroyed', 'storage-unavailable', 'overloaded'] as const;

const retrieve = (id: string, summary: string, level: 'study' | 'series'): MethodDecorator => applyDecorators(
  Operation({
    id, summary, description: DESCRIPTION,
    answers: { 200: BODY, 206: { ...BODY, description: 'Only the instances that can be had in an accepted transfer syntax' } },
    problems: level === 'study' ? problems : [...problems, 'series-not-found'],
  }),
  ApiQuery({ name: 'accept', description: 'Media types, before those of the header', required: false, schema: { type: 'string' } }),
);

/** Studies, series and instances as DICOM files. */
@ApiTags('dicomweb')
@Controller('dicom-web/studies/:study')
export class RetrieveController {
  constructor(
    private readonly retrievals: RetrieveService,
    private readonly bulkData: BulkDataService,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  @Get()
  @RequirePermission('images:read')
  @retrieve('retrieveStudy', 'Retrieve a study', 'study')
  study(@Param('study', { schema: uidParameter }) studyInstanceUid: string, @Req() request: FastifyRequest, @Res() reply: FastifyReply, @CurrentPrincipal() { institutionId }: Principal): Promise<void> {
    return this.all(new WadoRequest(request, reply, this.config), { institutionId, studyInstanceUid });
  }

  @Get('series/:series')
  @RequirePermission('images:read')
  @retrieve('retrieveSeries', 'Retrieve a series', 'series')
  series(
    @Param('study', { schema: uidParameter }) studyInstanceUid: string, @Param('series', { schema: uidParameter }) seriesInstanceUid: string,
    @Req() request: FastifyRequest, @Res() reply: FastifyReply, @CurrentPrincipal() { institutionId }: Principal,
  ): Promise<void> {
    return this.all(new WadoRequest(request, reply, this.config), { institutionId, studyInstanceUid, seriesInstanceUid });
  }

  @Get('series/:series/instances/:instance')
  @RequirePermission('images:read')
  @Operation({
    id: 'retrieveInstance', summary: 'Retrieve an instance',
    description: `${DESCRIPTION} One instance may also stand alone, as \`application/dicom\`; then the stored bytes have a strong ETag and come in ranges too.`,
    answers: {
      200: { description: 'The instance, in one part or alone (`application/dicom`)', mediaType: 'multipart/related', headers: { ETag: 'Of the bytes; alone only' } },
      206: { description: 'The range that was asked for', mediaType: 'application/dicom', headers: { 'Content-Range': 'Which bytes these are' } },
      304: { description: 'Nothing has changed' },
    },
    problems: [...problems, 'series-not-found', 'instance-not-found', 'range-not-satisfiable'],
  })
  @ApiQuery({ name: 'accept', description: 'Media types, before those of the header', required: false, schema: { type: 'string' } })
  @ApiHeader({ name: 'Range', description: 'Of an instance alone, as it is stored', required: false, schema: { type: 'string' } })
  async instance(
    @Param('study', { schema: uidParameter }) studyInstanceUid: string, @Param('series', { schema: uidParameter }) seriesInstanceUid: string, @Param('instance', { schema: uidParameter }) sopInstanceUid: string,
    @Req() request: FastifyRequest, @Res() reply: FastifyReply, @CurrentPrincipal() { institutionId }: Principal,
  ): Promise<void> {
    const scope: InstanceScope = { institutionId, studyInstanceUid, seriesInstanceUid, sopInstanceUid };
    const wado = new WadoRequest(request, reply, this.config);
    const selection = selectInstances(wado.acceptance, false);
    if (selection?.kind === 'instances' && selection.packaging === 'single') return wado.send(this.retrievals.one(scope, selection, wado.conditions));
    return this.all(wado, scope);
  }

  private async all(wado: WadoRequest, scope: RetrievalScope): Promise<void> {
    const selection = selectInstances(wado.acceptance, true);
    if (selection === undefined) throw new AppError('not-acceptable', { detail: 'Instances are sent as multipart/related; type="application/dicom".' });
    if (selection.kind === 'instances') return wado.send(this.retrievals.all(scope, selection));
    return wado.send(this.bulkData.all(scope, 'bulk-data', wado.acceptance, (row) => wado.instanceUrl(row)));
  }
}
