import { Injectable, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyInstance } from 'fastify';
import { OFFSET_STREAM } from './tus-headers.js';

/** Lets the bodies of resumable uploads through to their controller, which streams them. */
@Injectable()
export class OffsetStream implements OnModuleInit {
  constructor(private readonly host: HttpAdapterHost) {}

  onModuleInit(): void {
    const fastify: FastifyInstance = this.host.httpAdapter.getInstance();
    fastify.addContentTypeParser(OFFSET_STREAM, (_request, payload, done) => { done(null, payload); });
  }
}
