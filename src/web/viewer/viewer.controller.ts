import { Controller, Get, Req, Res } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { AppError } from '../../kernel/errors.js';
import { Authenticator, Public } from '../../platform/http/access.js';
import { etagOf, isNotModified } from '../../platform/http/representation.js';
import { html } from '../pages/html.js';
import { pageLanguage } from '../pages/language.js';
import { answerPage } from '../pages/page.js';
import { readerOf } from '../pages/reader.js';
import { viewerConfig } from './viewer-config.js';
import { ViewerFiles } from './viewer-files.service.js';
import { WORKER_POLICY } from './viewer-page.js';

const FOREVER = 'public, max-age=31536000, immutable';
const CONFIGURATION = 'app-config.js';

/**
 * OHIF as its maker built it. Its pages are for those who are signed in; its files are anybody's, as they are on npm, and hold nobody's
 * data. What it shows it asks of DICOMweb, which decides and puts on record.
 */
@ApiExcludeController()
@Public()
@Controller('viewer')
export class ViewerController {
  constructor(
    private readonly files: ViewerFiles,
    private readonly authenticator: Authenticator,
  ) {}

  /** Its own routes, such as `/viewer/viewer?StudyInstanceUIDs=`, are one page. */
  @Get(['', '*'])
  async get(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const name = nameOf(request);
    void reply.header('Cross-Origin-Embedder-Policy', 'require-corp');
    if (name === CONFIGURATION) {
      void reply.header('Content-Security-Policy', WORKER_POLICY).type('text/javascript; charset=utf-8').send(viewerConfig(pageLanguage(request)));
      return;
    }
    if (this.files.find(name)) return this.answerFile(name, request, reply);
    // A file that is not there is no page: a browser would take HTML for a script.
    if (/\.[a-z0-9]{1,5}$/i.test(name)) throw new AppError('not-found');
    await this.answerPage(request, reply);
  }

  private async answerFile(name: string, request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const file = this.files.find(name);
    if (!file) throw new AppError('not-found');
    void reply.header('Vary', 'Accept-Encoding');
    if (file.isScript) void reply.header('Content-Security-Policy', WORKER_POLICY);
    const acceptsGzip = /\bgzip\b/.test(request.headers['accept-encoding'] ?? '');
    const isKnown = isNotModified(request, reply, etagOf(file.version, acceptsGzip ? 'gzip' : ''));
    if (file.isImmutable) void reply.header('Cache-Control', FOREVER);
    if (isKnown) {
      void reply.send();
      return;
    }
    const { bytes, isGzip } = await this.files.read(name, acceptsGzip);
    if (isGzip) void reply.header('Content-Encoding', 'gzip');
    void reply.type(file.type).send(bytes);
  }

  private async answerPage(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    if (!(await readerOf(this.authenticator, request, reply))) return;
    if (!this.files.isInstalled && request.headers.accept?.includes('text/html') === true) {
      answerPage(request, reply, { title: ({ viewerAbsent }) => viewerAbsent, script: 'forms', body: (texts) => html`<h1>${texts.viewerAbsent}</h1><p>${texts.viewerAbsentHint}</p><p><a href="/">${texts.toWorklist}</a></p><div id="message"></div>` }, 404);
      return;
    }
    const { html: text, policy } = await this.files.page();
    void reply.header('Content-Security-Policy', policy).header('Referrer-Policy', 'same-origin').type('text/html; charset=utf-8').send(text);
  }
}

/** Below `/viewer/`; empty for what no file can be called. */
function nameOf({ params }: FastifyRequest): string {
  // Fastify types the parameters as unknown; the rest of a path is a text, already decoded.
  return (params as Record<string, string | undefined>)['*'] ?? '';
}
