import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { SwaggerModule, type OpenAPIObject } from '@nestjs/swagger';
import type { FastifyInstance } from 'fastify';
import type { Config } from '../platform/config.js';
import { Authenticator } from '../platform/http/access.js';
import { createDocument } from '../platform/http/openapi.js';
import { VERSION } from '../platform/version.js';

/** By the route: `/%64ocs` leads to `/docs` too. */
const DOCS_ROUTE = /^\/(docs|openapi\.(json|yaml))([/*-]|$)/;

/** Serves Swagger UI at `/docs` and its document at `/openapi.json`; only to those who are known, when `DOCS_PUBLIC=false`. */
export function serveDocs(app: NestFastifyApplication, config: Pick<Config, 'DOCS_PUBLIC'>): OpenAPIObject {
  if (!config.DOCS_PUBLIC) {
    const fastify: FastifyInstance = app.getHttpAdapter().getInstance();
    fastify.addHook('onRequest', async (request, reply) => {
      if (DOCS_ROUTE.test(request.routeOptions.url ?? '')) await app.get(Authenticator).authenticate(request, reply);
    });
  }
  const document = createDocument(app, VERSION);
  SwaggerModule.setup('docs', app, document, {
    jsonDocumentUrl: 'openapi.json',
    yamlDocumentUrl: 'openapi.yaml',
    customSiteTitle: 'HealthVision API',
    swaggerOptions: { persistAuthorization: true, displayRequestDuration: true, docExpansion: 'list', tagsSorter: undefined, tryItOutEnabled: true },
  });
  return document;
}
