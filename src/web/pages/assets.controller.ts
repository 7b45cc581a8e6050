import { Controller, Get, Param, Req, Res } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { readFileSync, readdirSync } from 'node:fs';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AppError } from '../../kernel/errors.js';
import { Public } from '../../platform/http/access.js';
import { etagOf, isNotModified } from '../../platform/http/representation.js';

const TYPES: Readonly<Record<string, string>> = { '.css': 'text/css; charset=utf-8', '.mjs': 'text/javascript; charset=utf-8', '.svg': 'image/svg+xml' };

interface Asset { bytes: Buffer; type: string; etag: string }

/** Styles and scripts of the pages. They are no TypeScript, so they stay where they were written when the rest is compiled. */
@ApiExcludeController()
@Public()
@Controller('assets')
export class AssetsController {
  private readonly assets = readAssets(new URL('../assets/', import.meta.url.replace(/\/dist\/src\/(?!.*\/dist\/src\/)/, '/src/')));

  /** @throws AppError `not-found` */
  @Get(':name')
  get(@Param('name') name: string, @Req() request: FastifyRequest, @Res() reply: FastifyReply): void {
    const asset = this.assets.get(name);
    if (!asset) throw new AppError('not-found');
    if (isNotModified(request, reply, asset.etag)) {
      void reply.send();
      return;
    }
    void reply.type(asset.type).send(asset.bytes);
  }
}

/** All of them, once: they are few and small. */
function readAssets(folder: URL): ReadonlyMap<string, Asset> {
  return new Map(readdirSync(fileURLToPath(folder)).flatMap((name) => {
    const type = TYPES[extname(name)];
    if (type === undefined) return [];
    const bytes = readFileSync(new URL(name, folder));
    return [[name, { bytes, type, etag: etagOf(name, bytes.toString('base64')) }] as const];
  }));
}
