import { Controller, Get, Param, Put, Query, Req, Res } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { z } from 'zod';
import { AppError } from '../../kernel/errors.js';
import { noteForAudit } from '../../platform/audit/audit-note.js';
import { Authenticator, Public, RequirePermission } from '../../platform/http/access.js';
import { languageOf, problemOf } from '../../platform/http/problem.js';
import { etagOf, isNotModified } from '../../platform/http/representation.js';
import { QueueAccess } from '../../platform/queue/queue-access.js';
import type { Board, BoardAnswer } from '../../platform/queue/queue-board.js';
import { QueueControl } from '../../platform/queue/queue-control.service.js';
import { html } from '../pages/html.js';
import { pageLanguage } from '../pages/language.js';
import { answerPage } from '../pages/page.js';
import { readerOf } from '../pages/reader.js';
import { packagedFiles, type PackagedFile } from '../viewer/viewer-package.js';
import { boardFolder, BoardPage, BOARD_POLICY, BOARD_SCRIPT_POLICY } from './board-page.js';

const BASE = '/admin/queues/';
const PERMISSION = 'queues:write';
const TYPES: Readonly<Record<string, string>> = { '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8', '.json': 'application/json', '.svg': 'image/svg+xml', '.png': 'image/png', '.ico': 'image/x-icon', '.woff2': 'font/woff2' };
const HASHED = /\.[0-9a-f]{10,}\./;
const anything = z.record(z.string(), z.unknown());
const segment = z.string().regex(/^[\w:-]{1,100}$/);

interface Installed { board: Board; page: BoardPage; files: ReadonlyMap<string, PackagedFile> }

/**
 * Bull Board for those who run the installation: it shows the jobs of all institutions, without what study they are about. Looking is anybody's
 * who has the permission; of what it offers to change, only what harms nothing is there.
 */
@ApiExcludeController()
@Public()
@Controller('admin/queues')
export class QueueBoardController {
  private made: Promise<Installed> | undefined;

  constructor(
    private readonly authenticator: Authenticator,
    private readonly access: QueueAccess,
    private readonly control: QueueControl,
  ) {}

  /** Its own routes, such as `/admin/queues/queue/run`, are one page. */
  @Get(['', '*'])
  async page(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const reader = await readerOf(this.authenticator, request, reply);
    if (!reader) return;
    if (!reader.permissions.has(PERMISSION)) {
      answerPage(request, reply, { title: ({ queues }) => queues, script: 'forms', body: (texts) => html`<h1>${texts.queues}</h1><p>${texts.queuesForbidden}</p><p><a href="/">${texts.toWorklist}</a></p><div id="message"></div>` }, 403);
      return;
    }
    const { page, board } = await this.installed();
    void reply.header('Content-Security-Policy', BOARD_POLICY).header('Referrer-Policy', 'same-origin').type('text/html; charset=utf-8').send(page.html(BASE, board.config, pageLanguage(request)));
  }

  /** Files as they are on npm: anybody's, and about nobody. @throws AppError `not-found` */
  @Get('static/*')
  async file(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const name = restOf(request);
    const file = (await this.installed()).files.get(name);
    const type = TYPES[extname(name)];
    if (!file || type === undefined) throw new AppError('not-found');
    if (HASHED.test(name)) void reply.header('Cache-Control', 'public, max-age=31536000, immutable');
    if (name.endsWith('.js')) void reply.header('Content-Security-Policy', BOARD_SCRIPT_POLICY);
    const isKnown = isNotModified(request, reply, etagOf(name, file.sizeBytes, file.modifiedMs));
    void reply.type(type).send(isKnown ? undefined : await readFile(file.path));
  }

  @Get('api/*')
  @RequirePermission(PERMISSION)
  async look(@Req() request: FastifyRequest, @Query({ schema: anything }) query: Record<string, unknown>, @Res() reply: FastifyReply): Promise<void> {
    await respond(reply, (await this.installed()).board.answer({ method: 'get', path: `/api/${restOf(request)}`, query }));
  }

  @Put('api/queues/:name/pause')
  @RequirePermission(PERMISSION)
  async pause(@Param('name', { schema: segment }) name: string, @Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    noteForAudit(request, { object: name });
    await respond(reply, this.control.pause(name).then(nothing), request);
  }

  @Put('api/queues/:name/resume')
  @RequirePermission(PERMISSION)
  async resume(@Param('name', { schema: segment }) name: string, @Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    noteForAudit(request, { object: name });
    await respond(reply, this.control.resume(name).then(nothing), request);
  }

  @Put('api/queues/:name/:id/retry')
  @RequirePermission(PERMISSION)
  async retry(@Param('name', { schema: segment }) name: string, @Param('id', { schema: segment }) id: string, @Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    noteForAudit(request, { object: id, details: { queue: name } });
    await respond(reply, this.control.retry(name, id).then(nothing), request);
  }

  @Put('api/queues/:name/:id/clean')
  @RequirePermission(PERMISSION)
  async remove(@Param('name', { schema: segment }) name: string, @Param('id', { schema: segment }) id: string, @Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    noteForAudit(request, { object: id, details: { queue: name } });
    await respond(reply, this.control.remove(name, id).then(nothing), request);
  }

  @Put('api/*')
  @RequirePermission(PERMISSION)
  async change(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const path = `/api/${restOf(request)}`;
    noteForAudit(request, { object: path });
    await respond(reply, (await this.installed()).board.answer({ method: 'put', path, query: {} }), request);
  }

  /** When first asked for, its code included: it costs memory that most processes never need. */
  private installed(): Promise<Installed> {
    this.made ??= this.install();
    return this.made;
  }

  private async install(): Promise<Installed> {
    const folder = boardFolder();
    const { Board } = await import('../../platform/queue/queue-board.js');
    return { board: new Board(this.access.names.map((name) => this.access.queue(name)), folder), page: new BoardPage(folder), files: packagedFiles(join(folder, 'dist', 'static')) };
  }
}

/** The board shows what stands in `error` of an answer. */
async function respond(reply: FastifyReply, work: Promise<BoardAnswer>, request?: FastifyRequest): Promise<void> {
  try {
    const { status, body } = await work;
    void reply.status(status).send(status === 204 ? undefined : body);
  } catch (error) {
    if (!(error instanceof AppError) || request === undefined) throw error;
    const problem = problemOf(error, request.id, languageOf(request.headers['accept-language']));
    void reply.status(error.status).type('application/problem+json; charset=utf-8').send(JSON.stringify({ ...problem, error: problem.title, message: problem.detail ?? problem.title }));
  }
}

function nothing(): BoardAnswer {
  return { status: 204, body: undefined };
}

/** Below the route's fixed part. */
function restOf({ params }: FastifyRequest): string {
  // Fastify types the parameters as unknown; the rest of a path is a text, already decoded.
  return (params as Record<string, string | undefined>)['*'] ?? '';
}
