import type { FastifyInstance, FastifyRequest } from 'fastify';
import { openSpan, SpanKind, type OpenSpan } from '../ops/tracing.js';
import { logFieldsOf, type AuthenticatedRequest } from './access.js';

/** Probes and scrapes come every few seconds and tell nothing. */
export const PROBES: ReadonlySet<string> = new Set(['/health', '/ready', '/metrics']);

const SPAN = Symbol('request span');
type SpannedRequest = FastifyRequest & { [SPAN]?: OpenSpan };

/**
 * One span for every request, in the trace that its `traceparent` names, or at the head of one. Add it before all other hooks, and only where spans are exported.
 * The route's template, never the URL: a path or query may name a patient's study.
 *
 * @see OpenTelemetry, "Semantic conventions for HTTP spans"
 */
export function traceRequests(fastify: FastifyInstance): void {
  fastify.addHook('onRequest', (request: AuthenticatedRequest, reply, done) => {
    const route = request.routeOptions.url ?? 'unmatched';
    const { traceparent } = request.headers;
    const span = PROBES.has(route) ? undefined : openSpan(`${request.method} ${route}`, {
      kind: SpanKind.SERVER, parent: typeof traceparent === 'string' ? traceparent : undefined, attributes: { 'http.request.method': request.method, 'http.route': route },
      logFields: () => logFieldsOf(request),
    });
    if (!span) {
      done();
      return;
    }
    (request as SpannedRequest)[SPAN] = span;
    // Comes once, however the request ends.
    reply.raw.once('close', () => {
      const { statusCode: status, raw: { writableFinished: isWhole } } = reply;
      // A client that went away is no fault of ours; streams of events always end so.
      span.end({ 'http.response.status_code': status, ...(!isWhole && { 'healthvision.aborted': true }) }, status >= 500 ? String(status) : undefined);
    });
    span.within(done);
  });
  // The end of a body is told by the connection, which knows nothing of the span; so is the end of the answer.
  const again = (request: FastifyRequest, done: () => void): void => {
    const span = (request as SpannedRequest)[SPAN];
    if (span) span.within(done);
    else done();
  };
  fastify.addHook('preValidation', (request, _reply, done) => { again(request, done); });
  fastify.addHook('onResponse', (request, _reply, done) => { again(request, done); });
}
