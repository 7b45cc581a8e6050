import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { SwaggerModule, type OpenAPIObject } from '@nestjs/swagger';
import type { FastifyInstance } from 'fastify';
import { AppError } from '../kernel/errors.js';
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
      if (!DOCS_ROUTE.test(request.routeOptions.url ?? '')) return;
      try {
        await app.get(Authenticator).authenticate(request, reply);
      } catch (error) {
        // A person is led to the sign-in; a program hears what is wrong.
        if (!(error instanceof AppError) || error.status !== 401 || request.headers.accept?.includes('text/html') !== true) throw error;
        return reply.redirect('/login?next=%2Fdocs', 303);
      }
    });
  }
  const document = createDocument(app, VERSION);
  SwaggerModule.setup('docs', app, document, {
    jsonDocumentUrl: 'openapi.json',
    yamlDocumentUrl: 'openapi.yaml',
    customSiteTitle: 'HealthVision API',
    swaggerOptions: { persistAuthorization: true, displayRequestDuration: true, docExpansion: 'list', tagsSorter: undefined, tryItOutEnabled: true, requestInterceptor: withCsrfToken },
  });
  return document;
}

/** Travels to the browser as text, so that whoever signed in on the page can try out what changes something: it uses nothing from around it. */
function withCsrfToken(request: { headers: Record<string, string> }): { headers: Record<string, string> } {
  // Only browsers have one.
  const { document } = globalThis as unknown as { document: { cookie: string } };
  const token = /(?:^|; )hv_csrf=([^;]+)/.exec(document.cookie)?.[1];
  if (token !== undefined) request.headers['X-CSRF-Token'] = token;
  return request;
}
