import { Controller, Get, Param, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { AppError } from '../../kernel/errors.js';
import { CurrentPrincipal, RequirePermission, type Principal } from '../../platform/http/access.js';
import { Operation } from '../../platform/http/openapi.js';
import { etagOf, isNotModified, matches } from '../../platform/http/representation.js';
import { DerivedInstances, StudyReader } from '../images/images.contract.js';
import { askedResult } from './asked-result.js';
import { newestOf } from './object-refs.js';
import type { ObjectRef } from './results.contract.js';
import { ResultsStore } from './results.store.js';
import { assertReleased } from './withheld.js';

const HEADERS = { ETag: 'Version of the object', 'Content-Disposition': 'A name for the file' };
const ANSWERS = { 200: { description: 'A DICOM file (PS3.10)', mediaType: 'application/dicom', headers: HEADERS }, 304: { description: 'The caller has this version' } };

/** What a result says, as DICOM objects. They are instances of the study as well. */
@ApiTags('results')
@RequirePermission('results:read')
@Controller('api/v1/results')
export class ResultObjectsController {
  constructor(
    private readonly store: ResultsStore,
    private readonly instances: DerivedInstances,
    private readonly studies: StudyReader,
  ) {}

  @Get(':id/sr.dcm')
  @Operation({
    id: 'getResultReport',
    summary: 'A result as a DICOM structured report',
    description: 'As it was last signed, else as the model made it. DICOMweb has it too, as an instance of the study.',
    answers: ANSWERS, problems: ['result-not-found', 'result-withheld', 'derived-object-not-found'],
  })
  report(@Param('id', { schema: z.uuid() }) id: string, @CurrentPrincipal() principal: Principal, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<Uint8Array | undefined> {
    return this.send('sr', id, principal, request, reply);
  }

  @Get(':id/seg.dcm')
  @Operation({
    id: 'getResultSegmentation',
    summary: 'What a result has segmented, as a DICOM segmentation',
    description: 'As it was last signed, else as the model made it. DICOMweb has it too, as an instance of the study. Results of analyses that segment nothing have none, nor have those of which no segment stands.',
    answers: ANSWERS, problems: ['result-not-found', 'result-withheld', 'derived-object-not-found'],
  })
  segmentation(@Param('id', { schema: z.uuid() }) id: string, @CurrentPrincipal() principal: Principal, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<Uint8Array | undefined> {
    return this.send('seg', id, principal, request, reply);
  }

  private async send(kind: ObjectRef['kind'], id: string, { institutionId }: Principal, request: FastifyRequest, reply: FastifyReply): Promise<Uint8Array | undefined> {
    const record = askedResult(request, await this.store.find(institutionId, id));
    assertReleased(record);
    const newest = newestOf(record.objects, kind);
    const object = newest && (await this.instances.find(institutionId, newest.sopInstanceUid));
    if (!object) throw new AppError('derived-object-not-found');
    const etag = etagOf(object.sopInstanceUid, object.sha256);
    // Read before any header is set: a failure must not carry the object's ETag.
    const bytes = matches(request.headers['if-none-match'], etag) ? undefined : await this.studies.readInstance(object.blobKey).catch(gone);
    if (isNotModified(request, reply, etag)) return undefined;
    void reply.header('Content-Type', 'application/dicom').header('Content-Disposition', `attachment; filename="${id}.${kind}.dcm"`);
    return bytes;
  }
}

/** Bytes that the sweep has taken belong to a study that was deleted a moment ago. */
function gone(error: unknown): never {
  if (error instanceof AppError && error.code === 'blob-missing') throw new AppError('derived-object-not-found', { cause: error });
  throw error;
}
