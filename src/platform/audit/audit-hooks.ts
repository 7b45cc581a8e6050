import { RequestMethod, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { METHOD_METADATA, PATH_METADATA } from '@nestjs/common/constants.js';
import { MetadataScanner, ModulesContainer } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { AuthenticatedRequest } from '../http/access.js';
import { OPERATION_KEY } from '../http/openapi.js';
import { languageOf, problemOf } from '../http/problem.js';
import { asUnavailable, codeOf, RequestTrail, withdraw } from './audit-trail.js';
import { AuditWriter } from './audit-writer.js';

/** Health, figures, documents and pages: they show nobody's data. */
const NOT_AUDITED = /^\/(?:$|health$|ready$|metrics$|docs|openapi\.|\.well-known\/|login$|viewer|assets|static|favicon)/;
/** Asks anew every few seconds while its page is open, and shows nobody's data: what it changes is on record. */
const QUEUE_BOARD = /^\/admin\/queues(?:\/|$)/;
const CHANGING = new Set(['POST', 'PUT', 'PATCH', 'DELETE']);

/**
 * One audit event for every call, written before its answer leaves; for calls that change something one before they begin, too. What cannot be put on record is not
 * done, and not shown.
 */
export function addAuditHooks(app: NestFastifyApplication, fastify: FastifyInstance): void {
  const writer = app.get(AuditWriter);
  let operations: ReadonlyMap<string, string> | undefined;
  fastify.addHook('onRequest', (request, _reply, done) => {
    const template = request.routeOptions.url;
    if (isAudited(request, template)) {
      // Routes are complete when the first request comes.
      operations ??= operationsOf(app);
      const method = request.method === 'HEAD' ? 'GET' : request.method;
      RequestTrail.begin(request, writer, operations.get(`${request.method} ${template}`) ?? operations.get(`${method} ${template}`) ?? `${request.method} ${template}`);
    }
    done();
  });
  fastify.addHook('onSend', async (request, reply, payload) => {
    const trail = RequestTrail.of(request);
    if (!trail) return payload;
    try {
      await trail.answer(reply.statusCode, reply.statusCode < 400 ? undefined : codeOf(payload));
      return payload;
    } catch (error) {
      // That something failed anyway tells nothing of anybody.
      if (reply.statusCode >= 500) return payload;
      const problem = asUnavailable(error);
      withdraw(reply, payload);
      void reply.status(problem.status).header('Content-Type', 'application/problem+json; charset=utf-8').header('Cache-Control', 'no-store').header('Retry-After', String(problem.retryAfterSeconds ?? 2));
      return JSON.stringify(problemOf(problem, request.id, languageOf(request.headers['accept-language'])));
    }
  });
  app.useGlobalGuards(new AttemptGuard());
}

/** Behind the guard that says who calls, before the handler. No interceptor: what those cost every request is more than what happens here. */
class AttemptGuard implements CanActivate {
  canActivate(context: ExecutionContext): true | Promise<true> {
    const request = context.switchToHttp().getRequest<AuthenticatedRequest>();
    if (!CHANGING.has(request.method) || !request.principal || context.getType() !== 'http') return true;
    const trail = RequestTrail.of(request);
    return trail === undefined ? true : trail.attempt().then(() => true);
  }
}

function isAudited(request: FastifyRequest, template: string | undefined): template is string {
  if (template === undefined || NOT_AUDITED.test(template) || (QUEUE_BOARD.test(template) && !CHANGING.has(request.method))) return false;
  // A question of a browser before the call itself.
  return request.method !== 'OPTIONS' || request.headers['access-control-request-method'] === undefined;
}

/** The operation's id in the API document, by method and route template. */
function operationsOf(app: NestFastifyApplication): ReadonlyMap<string, string> {
  const operations = new Map<string, string>();
  const scanner = new MetadataScanner();
  for (const { controllers } of app.get(ModulesContainer).values()) {
    for (const { metatype } of controllers.values()) {
      if (typeof metatype !== 'function') continue;
      // A controller's prototype holds its handlers by name.
      const prototype = metatype.prototype as Record<string, object>;
      for (const name of scanner.getAllMethodNames(prototype)) {
        const handler = prototype[name];
        const id = handler && (Reflect.getMetadata(OPERATION_KEY, handler) as string | undefined);
        if (handler === undefined || id === undefined) continue;
        const method = RequestMethod[Reflect.getMetadata(METHOD_METADATA, handler) as RequestMethod];
        for (const base of texts(Reflect.getMetadata(PATH_METADATA, metatype))) {
          for (const path of texts(Reflect.getMetadata(PATH_METADATA, handler))) operations.set(`${method} ${templateOf(base, path)}`, id);
        }
      }
    }
  }
  return operations;
}

function texts(value: unknown): string[] {
  return (Array.isArray(value) ? value : [value ?? '']) as string[];
}

function templateOf(...parts: string[]): string {
  return `/${parts.flatMap((part) => part.split('/')).filter((part) => part !== '').join('/')}`;
}
