import { Injectable, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyInstance } from 'fastify';
import { OFFSET_STREAM, TUS_PATH, TUS_VERSION } from './tus-headers.js';

/** What resumable uploads need in front of their controller. */
@Injectable()
export class TusWire implements OnModuleInit {
  constructor(private readonly host: HttpAdapterHost) {}

  onModuleInit(): void {
    const fastify: FastifyInstance = this.host.httpAdapter.getInstance();
    // The controller streams the bodies.
    fastify.addContentTypeParser(OFFSET_STREAM, (_request, payload, done) => { done(null, payload); });
    // Every answer says what it speaks, also one that never comes to the controller, such as 401.
    fastify.addHook('onRequest', async ({ routeOptions: { url } }, reply) => {
      if (url?.startsWith(`/${TUS_PATH}`) === true) void reply.header('Tus-Resumable', TUS_VERSION);
    });
  }
}
