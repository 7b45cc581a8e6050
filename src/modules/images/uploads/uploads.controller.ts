import { Controller, Delete, Get, Head, Inject, Options, Param, Patch, Post, Req, Res } from '@nestjs/common';
import { ApiBody, ApiConsumes, ApiHeader, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { AppError } from '../../../kernel/errors.js';
import { CONFIG, type Config } from '../../../platform/config.js';
import { CurrentPrincipal, RequirePermission, type Principal } from '../../../platform/http/access.js';
import { Idempotent } from '../../../platform/http/idempotency.interceptor.js';
import { Operation } from '../../../platform/http/openapi.js';
import { waitingFor } from '../client-patience.js';
import { readOff } from '../image-upload.js';
import { ResumableUploads, type Piece } from './resumable-uploads.service.js';
import { byteCount, CHECKSUM_ALGORITHMS, OFFSET_STREAM, parseChecksum, TUS_EXTENSIONS, TUS_PATH, TUS_VERSION } from './tus-headers.js';
import { uploadExample, uploadJson, uploadSchema, type UploadJson } from './uploads-json.js';
import type { Upload } from './uploads.store.js';

const uploadId = z.uuid().meta({ description: 'Of the `Location` that the creation answered' });

const text = (name: string, description: string, required = false): MethodDecorator => ApiHeader({ name, description, required, schema: { type: 'string' } });
const SpeaksTus = text('Tus-Resumable', `Version of the protocol: \`${TUS_VERSION}\``, true);
const Checksummed = text('Upload-Checksum', `${CHECKSUM_ALGORITHMS.map((name) => `\`${name}\``).join(' or ')} of the body and its digest in base64; bytes that do not match are dropped`);
const body = { description: 'Bytes from the offset on', required: false, schema: { type: 'string' as const, format: 'binary' } };

const OFFSET = { 'Upload-Offset': 'Bytes that are durable', 'Upload-Expires': 'When the upload is removed unless it goes on' };
const PIECE_PROBLEMS = [
  'upload-not-found', 'upload-expired', 'upload-offset-conflict', 'upload-checksum-mismatch', 'precondition-failed', 'payload-too-large', 'unsupported-media-type', 'storage-full', 'storage-unavailable',
] as const;

/** @see https://tus.io/protocols/resumable-upload 1.0.0, and docs/decisions/0015-resumable-uploads.md */
@ApiTags('images')
@Controller(TUS_PATH)
export class UploadsController {
  constructor(
    private readonly uploads: ResumableUploads,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  @Options()
  @RequirePermission('images:write')
  @Operation({
    id: 'uploadCapabilities', summary: 'What resumable uploads can do',
    answers: { 204: { description: 'See the headers', headers: { 'Tus-Version': 'Versions of the protocol', 'Tus-Max-Size': 'Bytes an upload may have', 'Tus-Extension': 'Extensions of the protocol', 'Tus-Checksum-Algorithm': 'For Upload-Checksum' } } },
  })
  capabilities(@Res({ passthrough: true }) reply: FastifyReply): void {
    void reply.headers({
      'Tus-Version': TUS_VERSION, 'Tus-Max-Size': String(this.config.MAX_UPLOAD_BYTES), 'Tus-Extension': TUS_EXTENSIONS, 'Tus-Checksum-Algorithm': CHECKSUM_ALGORITHMS.join(','),
    });
  }

  @Post()
  @Idempotent({ body: false, requestHeaders: ['upload-length', 'upload-defer-length', 'upload-metadata', 'upload-checksum'], answerHeaders: ['upload-offset', 'upload-expires'] })
  @RequirePermission('images:write')
  @SpeaksTus
  @text('Upload-Length', 'Bytes in all')
  @text('Upload-Defer-Length', '`1` when the length is not known yet; a later request tells it')
  @text('Upload-Metadata', 'Pairs of a key and a value in base64, separated by commas: `filename`, and for pictures the fields of `POST /images`')
  @Checksummed
  @ApiConsumes(OFFSET_STREAM)
  @ApiBody(body)
  @Operation({
    id: 'createUpload', summary: 'Begin a resumable upload', description: 'tus 1.0. One DICOM file, ZIP or gzip of DICOM, PNG or JPEG; once it is whole it is stored as `POST /images` would. The first bytes may come along.',
    answers: { 201: { description: 'Go on at `Location`', headers: { ...OFFSET, Location: 'Where the upload is' } } },
    problems: [...PIECE_PROBLEMS, 'conflict', 'idempotency-key-reused'],
  })
  async create(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply, @CurrentPrincipal() principal: Principal): Promise<void> {
    speakTus(request, reply);
    await readingOff(request, async () => {
      const begins = carriesBytes(request);
      const upload = await this.uploads.create(principal, announcedLength(request), header(request, 'upload-metadata'));
      void reply.header('Location', `/${TUS_PATH}/${upload.id}`);
      describe(begins ? await this.uploads.append(principal.institutionId, upload.id, { ...pieceOf(request), offsetBytes: 0 }) : upload, reply);
    });
  }

  // In front of GET, or Fastify would answer HEAD out of it.
  @Head(':id')
  @RequirePermission('images:write')
  @SpeaksTus
  @Operation({
    id: 'getUploadOffset', summary: 'Where a resumable upload stands', description: 'tus 1.0: go on from Upload-Offset.',
    answers: { 200: { description: 'See the headers', headers: { ...OFFSET, 'Upload-Length': 'Bytes in all', 'Upload-Defer-Length': '`1` while they are not known', 'Upload-Metadata': 'As it came' } } },
    problems: ['upload-not-found', 'upload-expired', 'precondition-failed'],
  })
  async offset(@Param('id', { schema: uploadId }) id: string, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply, @CurrentPrincipal() { institutionId }: Principal): Promise<void> {
    speakTus(request, reply);
    void reply.header('Cache-Control', 'no-store');
    const upload = await this.uploads.find(institutionId, id);
    const metadata = await this.uploads.metadataOf(upload);
    void reply.headers({ ...(upload.lengthBytes === null ? { 'Upload-Defer-Length': '1' } : { 'Upload-Length': String(upload.lengthBytes) }), ...(metadata !== undefined && { 'Upload-Metadata': metadata }) });
    describe(upload, reply);
  }

  @Get(':id')
  @RequirePermission('images:write')
  @Operation({
    id: 'getUpload', summary: 'What became of a resumable upload', description: 'Once its state is `done`, with the fate of every file. No request of tus.',
    answers: { 200: { description: 'The upload', schema: uploadSchema, example: uploadExample } },
    problems: ['upload-not-found', 'upload-expired'],
  })
  async get(@Param('id', { schema: uploadId }) id: string, @CurrentPrincipal() { institutionId }: Principal): Promise<UploadJson> {
    const upload = await this.uploads.find(institutionId, id);
    return uploadJson(upload, await this.uploads.fatesOf(upload));
  }

  @Patch(':id')
  @RequirePermission('images:write')
  @SpeaksTus
  @text('Upload-Offset', 'Where these bytes belong', true)
  @text('Upload-Length', 'Bytes in all, when they were not known before')
  @Checksummed
  @ApiConsumes(OFFSET_STREAM)
  @ApiBody({ ...body, required: true })
  @Operation({
    id: 'appendToUpload', summary: 'Go on with a resumable upload', description: 'tus 1.0. When the connection breaks, what came is kept. The bytes that make it whole are answered before the files are stored: `GET` tells what became of them.',
    answers: { 204: { description: 'The bytes are durable', headers: OFFSET } },
    problems: PIECE_PROBLEMS,
  })
  async append(@Param('id', { schema: uploadId }) id: string, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply, @CurrentPrincipal() { institutionId }: Principal): Promise<void> {
    speakTus(request, reply);
    await readingOff(request, async () => {
      if (mediaType(request) !== OFFSET_STREAM) throw new AppError('unsupported-media-type', { detail: `Bytes are sent as ${OFFSET_STREAM}.` });
      const offset = header(request, 'upload-offset');
      if (offset === undefined) throw new AppError('bad-request', { detail: 'Upload-Offset is missing.' });
      describe(await this.uploads.append(institutionId, id, { ...pieceOf(request), offsetBytes: byteCount('Upload-Offset', offset) }), reply);
    });
  }

  @Delete(':id')
  @RequirePermission('images:write')
  @SpeaksTus
  @Operation({
    id: 'terminateUpload', summary: 'Give a resumable upload up', description: 'tus 1.0. Removes what came of it; images that were stored out of it stay.',
    answers: { 204: { description: 'It is gone' } },
    problems: ['upload-not-found', 'conflict', 'precondition-failed'],
  })
  async terminate(@Param('id', { schema: uploadId }) id: string, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply, @CurrentPrincipal() { institutionId }: Principal): Promise<void> {
    speakTus(request, reply);
    await this.uploads.terminate(institutionId, id);
  }

  @Post(':id')
  @RequirePermission('images:write')
  @SpeaksTus
  @text('X-HTTP-Method-Override', '`PATCH` or `DELETE`', true)
  @ApiConsumes(OFFSET_STREAM)
  @ApiBody(body)
  @Operation({
    id: 'overrideUploadMethod', summary: 'PATCH or DELETE, for clients that cannot send these', description: 'tus 1.0: as the method that X-HTTP-Method-Override names.',
    answers: { 204: { description: 'As the method answers' } },
    problems: [...PIECE_PROBLEMS, 'conflict', 'method-not-allowed'],
  })
  async override(@Param('id', { schema: uploadId }) id: string, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply, @CurrentPrincipal() principal: Principal): Promise<void> {
    switch (header(request, 'x-http-method-override')?.toUpperCase()) {
      case 'PATCH': return this.append(id, request, reply, principal);
      case 'DELETE': return this.terminate(id, request, reply, principal);
      default:
        readOff(request);
        throw new AppError('method-not-allowed');
    }
  }
}

/** @throws AppError `precondition-failed` when the client speaks another version */
function speakTus(request: FastifyRequest, reply: FastifyReply): void {
  if (header(request, 'tus-resumable') === TUS_VERSION) return;
  void reply.header('Tus-Version', TUS_VERSION);
  readOff(request);
  throw new AppError('precondition-failed', { detail: `Tus-Resumable must be ${TUS_VERSION}.` });
}

function describe({ state, offsetBytes, expiresAt }: Upload, reply: FastifyReply): void {
  void reply.headers({ 'Upload-Offset': String(offsetBytes), ...(state === 'receiving' && { 'Upload-Expires': expiresAt.toUTCString() }) });
}

/** @returns null when the length is told later @throws AppError `bad-request` */
function announcedLength(request: FastifyRequest): number | null {
  const [length, deferred] = [header(request, 'upload-length'), header(request, 'upload-defer-length')];
  if ((length === undefined) === (deferred === undefined) || (deferred !== undefined && deferred !== '1')) throw new AppError('bad-request', { detail: 'Send either Upload-Length or Upload-Defer-Length: 1.' });
  return length === undefined ? null : byteCount('Upload-Length', length);
}

/** @throws AppError `bad-request` */
function pieceOf(request: FastifyRequest): Omit<Piece, 'offsetBytes'> {
  const length = header(request, 'upload-length');
  const contentLength = header(request, 'content-length');
  return {
    lengthBytes: length === undefined ? undefined : byteCount('Upload-Length', length),
    contentLength: contentLength === undefined ? undefined : byteCount('Content-Length', contentLength),
    checksum: parseChecksum(header(request, 'upload-checksum')),
    body: waitingFor(request.raw.socket, bytesOf(request)),
  };
}

/** The body as it comes from the wire. A client that hangs up ends it with an error, never with an early end. */
async function* bytesOf({ raw }: FastifyRequest): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of raw.iterator({ destroyOnReturn: false })) yield chunk as Uint8Array; // requests are in byte mode
  } catch (error) {
    throw new AppError('bad-request', { detail: 'The connection broke.', cause: error });
  }
}

/** Whether a creation brings bytes. @throws AppError `unsupported-media-type` */
function carriesBytes(request: FastifyRequest): boolean {
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers;
  if (encoding === undefined && (length === undefined || Number(length) === 0)) return false;
  if (mediaType(request) !== OFFSET_STREAM) throw new AppError('unsupported-media-type', { detail: `Bytes are sent as ${OFFSET_STREAM}.` });
  return true;
}

/** A client that is refused early hears the answer only once its bytes are read. */
async function readingOff(request: FastifyRequest, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    readOff(request);
    throw error;
  }
}

function mediaType(request: FastifyRequest): string | undefined {
  return header(request, 'content-type')?.split(';')[0]?.trim().toLowerCase();
}

function header(request: FastifyRequest, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value.join(', ') : value;
}
