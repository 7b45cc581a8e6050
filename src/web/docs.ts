import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { SwaggerModule, type OpenAPIObject } from '@nestjs/swagger';
import { createDocument } from '../platform/http/openapi.js';
import { VERSION } from '../platform/version.js';

/** Serves Swagger UI at `/docs` and its document at `/openapi.json`. */
export function serveDocs(app: NestFastifyApplication): OpenAPIObject {
  const document = createDocument(app, VERSION);
  SwaggerModule.setup('docs', app, document, {
    jsonDocumentUrl: 'openapi.json',
    yamlDocumentUrl: 'openapi.yaml',
    customSiteTitle: 'HealthVision API',
    swaggerOptions: { persistAuthorization: true, displayRequestDuration: true, docExpansion: 'none', tagsSorter: undefined, tryItOutEnabled: true },
  });
  return document;
}
