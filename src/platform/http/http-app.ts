import cookie from '@fastify/cookie';
import multipart from '@fastify/multipart';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { DynamicModule } from '@nestjs/common';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { randomUUID } from 'node:crypto';
import { STATUS_CODES, type IncomingMessage } from 'node:http';
import { Server as HttpsServer } from 'node:https';
import type { Socket } from 'node:net';
import { Gauge } from 'prom-client';
import { AppError } from '../../kernel/errors.js';
import { addAuditHooks } from '../audit/audit-hooks.js';
import { AuditModule } from '../audit/audit.module.js';
import type { Config } from '../config.js';
import { NestLogger, type Logger } from '../ops/logger.js';
import { Metrics } from '../ops/metrics.js';
import { Shutdown } from '../ops/shutdown.js';
import { isTracing } from '../ops/tracing.js';
import { logFieldsOf } from './access.js';
import { sendSafeHeaders } from './answer-headers.js';
import { cutOffSilentClients, SILENCE_MS } from './connection-patience.js';
import { closeGracefully } from './graceful-close.js';
import { asAppError, ProblemFilter } from './problem.filter.js';
import { languageOf, problemOf } from './problem.js';
import { PROBES, traceRequests } from './request-spans.js';
import { JSON_LIMIT_BYTES, limitBodyTime, refuseStrangeRequests, URL_LIMIT, useStrictParsers } from './strict-requests.js';
import { tlsOptions, watchCertificate } from './tls.js';
import { SchemaValidationPipe } from './validation.pipe.js';

const REQUEST_ID_PATTERN = /^[A-Za-z0-9._-]{8,64}$/;
/** What a page of another origin may read of an answer, tus clients in browsers included. */
const EXPOSED_HEADERS = [
  'X-Request-Id', 'ETag', 'Location', 'Idempotency-Replayed', 'Warning', 'Content-Range', 'Retry-After', 'RateLimit-Limit', 'RateLimit-Remaining', 'RateLimit-Reset', 'RateLimit-Policy',
  'Upload-Offset', 'Upload-Length', 'Upload-Defer-Length', 'Upload-Expires', 'Upload-Metadata', 'Tus-Resumable', 'Tus-Version', 'Tus-Max-Size', 'Tus-Extension', 'Tus-Checksum-Algorithm',
];
/** For the head of a request, whatever it asks for. */
const HEADERS_TIMEOUT_MS = 20_000;
const HEADER_BYTES = 16 * 1024;
/** A peer that is gone without a word is found out by TCP, while we work for it in silence. */
const KEEP_ALIVE_MS = 60_000;

/** What every role has around its own modules. */
class HttpApplication {}

/**
 * Builds the HTTP application of a role, over TLS when a certificate is given; it listens only when the caller says so.
 *
 * @throws ConfigurationError when the files of TLS cannot be used
 */
export async function createHttpApp(module: DynamicModule, config: Config, logger: Logger): Promise<NestFastifyApplication> {
  const limitMs = config.REQUEST_TIMEOUT_SECONDS * 1000;
  const server = { maxHeaderSize: HEADER_BYTES, headersTimeout: Math.min(HEADERS_TIMEOUT_MS, limitMs), connectionsCheckingInterval: 2_000, requireHostHeader: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS };
  const tls = tlsOptions(config);
  const adapter = new FastifyAdapter({
    genReqId: (request: IncomingMessage) => requestId(request),
    requestIdHeader: false,
    bodyLimit: JSON_LIMIT_BYTES,
    trustProxy: trustProxy(config.TRUST_PROXY),
    ...(tls ? { https: { ...tls, ...server } } : { http: server }),
    // Uploads of gigabytes take their time; a client that stops sending does not. Other bodies: limitBodyTime.
    requestTimeout: 0,
    // Of silent clients: cutOffSilentClients.
    connectionTimeout: SILENCE_MS,
    keepAliveTimeout: 75_000,
    // What still comes while it closes is answered: closeGracefully.
    return503OnClosing: false,
    clientErrorHandler: answerUnreadable,
    // A list of frames is one parameter; no route has a pattern that long ones could slow down.
    routerOptions: { maxParamLength: URL_LIMIT },
    frameworkErrors: (error: FastifyError, request: FastifyRequest, reply: FastifyReply) => {
      const problem = asAppError(error);
      void reply.status(problem.status).header('Content-Type', 'application/problem+json; charset=utf-8').header('X-Request-Id', request.id).header('X-Content-Type-Options', 'nosniff').header('Cache-Control', 'no-store')
        .send(JSON.stringify(problemOf(problem, request.id, languageOf(request.headers['accept-language']))));
    },
  });
  const app = await NestFactory.create<NestFastifyApplication>({ module: HttpApplication, imports: [module, AuditModule] }, adapter, { logger: new NestLogger(logger), abortOnError: false, bodyParser: true });
  const fastify: FastifyInstance = app.getHttpAdapter().getInstance();
  if (isTracing()) traceRequests(fastify);
  await fastify.register(multipart, { limits: { fileSize: config.MAX_UPLOAD_BYTES, files: 100_000, fields: 1_000, fieldSize: 64 * 1024, headerPairs: 200 }, throwFileSizeLimit: true });
  await fastify.register(cookie);
  sendSafeHeaders(fastify, config);
  useStrictParsers(app);
  // STOW-RS bodies are streamed by their controller.
  for (const type of [/^multipart\/related/, 'application/dicom']) fastify.addContentTypeParser(type, (_request, payload, done) => { done(null, payload); });
  app.useGlobalFilters(new ProblemFilter(logger));
  app.useGlobalPipes(new SchemaValidationPipe());
  const origin = config.CORS_ORIGINS;
  if (origin) {
    app.enableCors({ delegator: (request, done) => {
      // OPTIONS that is no question of a browser is DICOMweb's for the capabilities, or tus's.
      const preflight = request.headers['access-control-request-method'] !== undefined;
      done(null, { origin, credentials: true, preflight, methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'], exposedHeaders: EXPOSED_HEADERS });
    } });
  }
  addHooks(fastify, app.get(Metrics), logger);
  addAuditHooks(app, fastify);
  refuseStrangeRequests(fastify);
  limitBodyTime(fastify, limitMs);
  cutOffSilentClients(fastify, SILENCE_MS);
  closeGracefully(fastify, app.get(Shutdown), config.SHUTDOWN_GRACE_SECONDS * 1000);
  if (fastify.server instanceof HttpsServer) {
    const expiry = new Gauge({ name: 'healthvision_tls_certificate_expiry_timestamp_seconds', help: 'When the certificate in force, or one of its chain, expires', registers: [app.get(Metrics).registry] });
    const stop = watchCertificate(fastify.server, config, logger, (at) => { expiry.set(at.getTime() / 1000); });
    fastify.addHook('onClose', (_instance, done) => { stop(); done(); });
  }
  return app;
}

function addHooks(fastify: FastifyInstance, metrics: Metrics, logger: Logger): void {
  fastify.addHook('onRequest', async (request, reply) => {
    void reply.header('X-Request-Id', request.id);
  });
  fastify.addHook('onResponse', async (request, reply) => {
    // The template, never the URL: a path or query may name a patient's study.
    const route = request.routeOptions.url ?? 'unmatched';
    metrics.httpDuration.observe({ method: request.method, route, status: String(reply.statusCode) }, reply.elapsedTime / 1000);
    logger[PROBES.has(route) ? 'trace' : 'info'](
      { ...logFieldsOf(request), method: request.method, route, status: reply.statusCode, ms: Math.round(reply.elapsedTime) }, 'request');
  });
}

/** Answers what Node's HTTP parser refuses, before there is a request. */
function answerUnreadable(error: Error & { code?: string }, socket: Socket): void {
  // What fails before TLS stands, such as plain HTTP, has nobody who could read an answer.
  if (error.code === 'ECONNRESET' || error.code?.startsWith('ERR_SSL_') === true || error.code?.startsWith('ERR_TLS_') === true || !socket.writable) {
    socket.destroy();
    return;
  }
  const code = error.code === 'HPE_HEADER_OVERFLOW' ? 'headers-too-large' : error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 'request-timeout' : 'bad-request';
  const problem = problemOf(new AppError(code), randomUUID(), 'en');
  const body = JSON.stringify(problem);
  socket.end(`HTTP/1.1 ${String(problem.status)} ${STATUS_CODES[problem.status] ?? ''}\r\nContent-Type: application/problem+json; charset=utf-8\r\nX-Request-Id: ${problem.requestId}\r\nContent-Length: ${String(Buffer.byteLength(body))}\r\nConnection: close\r\n\r\n${body}`);
}

function requestId(request: IncomingMessage): string {
  const given = request.headers['x-request-id'];
  return typeof given === 'string' && REQUEST_ID_PATTERN.test(given) ? given : randomUUID();
}

/** `true`, a number of hops, or addresses and networks separated by commas. */
function trustProxy(setting: string | undefined): boolean | string | ((address: string, hop: number) => boolean) {
  if (setting === undefined || setting === 'false') return false;
  if (setting === 'true') return true;
  return /^\d+$/.test(setting) ? (_address, hop) => hop < Number(setting) : setting;
}
