import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Config } from '../../../platform/config.js';
import { matches } from '../../../platform/http/representation.js';
import { studiesUrlOf } from '../stow-response.js';
import { RangeNotSatisfiable } from './byte-range.js';
import { acceptanceOf, type Acceptance } from './media-types.js';
import { valueOf } from './rendering-query.js';
import type { Conditions, NotModified } from './retrieve.service.js';
import { sendAnswer, type Answer } from './stream-answer.js';

/** A client may keep it, but must ask each time whether it may still be seen. */
const REVALIDATED = 'private, no-cache';

/** The parts of a retrieval that are the same for every resource. */
export class WadoRequest {
  readonly query: URLSearchParams;

  constructor(
    private readonly request: FastifyRequest,
    private readonly reply: FastifyReply,
    private readonly config: Pick<Config, 'PUBLIC_URL'>,
  ) {
    const [, text = ''] = /\?(.*)$/s.exec(request.url) ?? [];
    this.query = new URLSearchParams(text);
    const vary = reply.getHeader('Vary');
    void reply.header('Vary', vary === undefined ? 'Accept' : `${String(vary)}, Accept`);
  }

  /** @throws AppError `invalid-query` when the query parameter stands there twice */
  get acceptance(): Acceptance {
    return acceptanceOf(this.request.headers.accept, valueOf(this.query, 'accept'));
  }

  /** `https://host/dicom-web/studies` */
  get studiesUrl(): string {
    return studiesUrlOf({ publicUrl: this.config.PUBLIC_URL, protocol: this.request.protocol, host: this.request.host });
  }

  instanceUrl({ studyInstanceUid, seriesInstanceUid, sopInstanceUid }: { studyInstanceUid: string; seriesInstanceUid: string; sopInstanceUid: string }): string {
    return `${this.studiesUrl}/${studyInstanceUid}/series/${seriesInstanceUid}/instances/${sopInstanceUid}`;
  }

  get conditions(): Conditions {
    const { range, 'if-range': ifRange, 'if-none-match': known } = this.request.headers;
    // The comparison of If-None-Match is weak. RFC 9110 §13.1.2
    return { has: (etag) => matches(known, etag.replace(/^W\//, '')), range, ifRange: typeof ifRange === 'string' ? ifRange : undefined };
  }

  /** Whether the client can unpack gzip. @see RFC 9110 §12.5.3 */
  get takesGzip(): boolean {
    const [accepted] = [this.request.headers['accept-encoding'] ?? ''].flat();
    return String(accepted).split(',').some((coding) => /^\s*(gzip|\*)\s*(;\s*q\s*=\s*(1(\.0*)?|0?\.\d*[1-9]\d*))?\s*$/i.test(coding));
  }

  /** Sends what is made; when making it fails, the error gets the headers that belong to it. @throws whatever making it throws */
  async send(making: Answer | NotModified | Promise<Answer | NotModified>): Promise<void> {
    const answer = await Promise.resolve(making).catch((error: unknown) => {
      if (error instanceof RangeNotSatisfiable) void this.reply.header('Content-Range', `bytes */${String(error.sizeBytes)}`);
      throw error;
    });
    if (!('body' in answer)) {
      await this.reply.status(304).header('ETag', answer.etag).header('Cache-Control', REVALIDATED).send();
      return;
    }
    if ('ETag' in answer.headers) void this.reply.header('Cache-Control', REVALIDATED);
    await sendAnswer(this.request, this.reply, answer);
  }
}
