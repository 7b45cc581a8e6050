import type { MultipartFile } from '@fastify/multipart';
import type { FastifyRequest } from 'fastify';
import type { IncomingMessage } from 'node:http';
import { AppError } from '../../kernel/errors.js';
import { SILENCE_MS } from '../../platform/http/connection-patience.js';
import { exhaust, UploadMeter } from './byte-source.js';
import { waitingFor } from './client-patience.js';
import { IMAGE_FIELD_NAMES } from './image-fields.js';
import type { UploadPart } from './upload.service.js';

export const FILE_FIELD = 'files';

const LIMITS = { files: 10_000, fields: 50, parts: 10_050, fieldNameSize: 100, fieldSize: 4096, headerPairs: 100 };
/** Codes of @fastify/multipart that tell of a form with too much in it. */
const TOO_MUCH = new Set(['FST_PARTS_LIMIT', 'FST_FILES_LIMIT', 'FST_FIELDS_LIMIT', 'FST_REQ_FILE_TOO_LARGE']);

/**
 * The parts of a multipart/form-data request, as they arrive. Ends when the request does, not with the last part.
 *
 * @param maxBytes  of the whole body as it comes from the wire
 * @throws AppError `unsupported-media-type`, `malformed-multipart`, `payload-too-large`, `invalid-body` for a field that is not known
 * @see RFC 7578
 */
export async function* uploadParts(request: FastifyRequest, maxBytes: number): AsyncGenerator<UploadPart> {
  if (!request.isMultipart()) throw new AppError('unsupported-media-type', { detail: 'Files are sent as multipart/form-data.' });
  const meter = new UploadMeter(maxBytes);
  meter.announce(request.headers['content-length']);
  const ended = meterWire(request.raw, meter);
  try {
    const parts = waitingFor(request.raw.socket, multipartErrors(() => request.parts({ limits: { ...LIMITS, fileSize: maxBytes } })));
    for await (const part of parts) {
      const field = fieldName(part);
      if (part.type === 'file') {
        if (field !== FILE_FIELD) throw unknownField(field);
        const content = waitingFor(request.raw.socket, multipartErrors(() => fileContent(part)));
        yield { kind: 'file', name: fileName(part), content };
        // The rest of a file that was refused early has to run off, or the next part never comes.
        await exhaust(content);
      } else {
        if (!IMAGE_FIELD_NAMES.includes(field)) throw unknownField(field);
        if (part.valueTruncated || typeof part.value !== 'string') throw new AppError('invalid-body', { errors: [{ pointer: `/${field}`, detail: 'must be a short text' }] });
        yield { kind: 'field', name: field, value: part.value };
      }
    }
  } finally {
    ended();
  }
  await exhaust(meter.measure(waitingFor(request.raw.socket, multipartErrors(() => epilogue(request.raw)))));
}

/**
 * Counts what the parser is fed, whatever it is: preamble, headers and fields fill a link as files do. An error of the request
 * is what the parser ends its parts and the open file with.
 *
 * @returns ends the counting
 */
function meterWire(raw: IncomingMessage, meter: UploadMeter): () => void {
  const count = (chunk: Buffer): void => {
    try {
      meter.count(chunk.byteLength);
    } catch (error) {
      raw.off('data', count);
      raw.emit('error', error);
    }
  };
  raw.on('data', count);
  return () => { raw.off('data', count); };
}

/** What stands behind the closing boundary. RFC 2046 §5.1.1 */
async function* epilogue(raw: IncomingMessage): AsyncGenerator<Uint8Array> {
  if (raw.readableEnded) return;
  for await (const chunk of raw.iterator({ destroyOnReturn: false })) yield chunk as Uint8Array; // requests are in byte mode
}

/** The parser lets a part without a name pass, against its own type. @throws AppError `malformed-multipart` */
function fieldName({ fieldname }: { fieldname: unknown }): string {
  if (typeof fieldname !== 'string') throw new AppError('malformed-multipart', { detail: 'A part has no name.' });
  return fieldname;
}

function fileName({ filename }: MultipartFile): string {
  return (filename || 'unnamed').slice(0, 1024);
}

async function* fileContent({ file }: MultipartFile): AsyncGenerator<Uint8Array> {
  // The parser must not see its stream destroyed when a reader has seen enough: it would end the whole form.
  for await (const chunk of file.iterator({ destroyOnReturn: false })) yield chunk as Uint8Array; // busboy's streams are in byte mode
  if (file.truncated) throw new AppError('payload-too-large');
}

/** Everything that breaks in here is the client's form or connection. */
async function* multipartErrors<T>(open: () => AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* open();
  } catch (error) {
    if (error instanceof AppError) throw error;
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    throw new AppError(TOO_MUCH.has(code) ? 'payload-too-large' : 'malformed-multipart', { cause: error });
  }
}

function unknownField(name: string): AppError {
  return new AppError('invalid-body', { errors: [{ pointer: `/${name.slice(0, 100)}`, detail: 'Unknown field' }] });
}

/** After an answer that came before the end of the body: reads the rest off, so that the client gets to hear the answer. */
export function readOff(request: FastifyRequest): void {
  request.raw.unpipe();
  request.raw.socket.setTimeout(SILENCE_MS);
  request.raw.resume();
}
