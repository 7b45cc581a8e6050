import type { FastifyRequest } from 'fastify';
import { AppError } from '../../../kernel/errors.js';

export const PACK_FIELD = 'pack';

/** Codes of @fastify/multipart that tell of a form with too much in it. */
const TOO_MUCH = new Set(['FST_PARTS_LIMIT', 'FST_FILES_LIMIT', 'FST_FIELDS_LIMIT', 'FST_REQ_FILE_TOO_LARGE']);
const SILENCE_MS = 30_000;

/**
 * The bytes of the file of a form with nothing but one file in it, as they arrive.
 *
 * @throws AppError `unsupported-media-type`, `malformed-multipart`, `payload-too-large`, `invalid-body`
 * @see RFC 7578
 */
export async function* packBytes(request: FastifyRequest, maxBytes: number): AsyncGenerator<Uint8Array> {
  if (!request.isMultipart()) throw new AppError('unsupported-media-type', { detail: `The pack is sent as multipart/form-data, in the field ${PACK_FIELD}.` });
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw new AppError('payload-too-large');
  request.raw.socket.setTimeout(SILENCE_MS);
  let files = 0;
  try {
    for await (const part of request.parts({ limits: { files: 1, fields: 0, parts: 1, fieldNameSize: 100, headerPairs: 100, fileSize: maxBytes } })) {
      // The parser lets a part without a name pass, against its own type.
      const name = (part as { fieldname: unknown }).fieldname;
      if (part.type !== 'file' || name !== PACK_FIELD) throw new AppError('invalid-body', { errors: [{ pointer: `/${String(name).slice(0, 100)}`, detail: 'Unknown field' }] });
      files += 1;
      for await (const chunk of part.file) yield chunk as Uint8Array; // busboy's streams are in byte mode
      if (part.file.truncated) throw new AppError('payload-too-large');
    }
  } catch (error) {
    if (error instanceof AppError) throw error;
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    throw new AppError(TOO_MUCH.has(code) ? 'payload-too-large' : 'malformed-multipart', { cause: error });
  } finally {
    // What follows, unpacking and storing, may take longer than a client may be silent.
    request.raw.socket.setTimeout(0);
  }
  if (files === 0) throw new AppError('invalid-body', { errors: [{ pointer: `/${PACK_FIELD}`, detail: 'Missing' }] });
}

/** After an answer that came before the end of the body: reads the rest off, so that the client gets to hear the answer. */
export function readOff(request: FastifyRequest): void {
  request.raw.unpipe();
  request.raw.resume();
}
