import type { FastifyInstance } from 'fastify';
import helmet, { type HelmetOptions } from 'helmet';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Config } from '../config.js';

const NOTHING = ["'none'"];
const SELF = ["'self'"];

/** For pages of our own: their scripts are files. Swagger UI brings styles in its page. */
const PAGE_POLICY = [
  "default-src 'none'", "script-src 'self'", "style-src 'self' 'unsafe-inline'", "img-src 'self' data: blob:", "font-src 'self' data:", "connect-src 'self'",
  "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
].join(';');
const PERMISSIONS = ['camera', 'display-capture', 'geolocation', 'microphone', 'payment', 'publickey-credentials-get', 'usb'].map((feature) => `${feature}=()`).join(', ');
const YEAR_SECONDS = 31_536_000;

/**
 * What browsers are told with every answer. Set before the handler, so that answers that go past the framework have it too, and
 * so that a handler's own `Cache-Control` goes before ours: without one nothing is kept, because most answers tell of patients.
 */
export function sendSafeHeaders(fastify: FastifyInstance, config: Pick<Config, 'TLS_CERT_FILE' | 'PUBLIC_URL'>): void {
  const encrypted = config.TLS_CERT_FILE !== undefined || config.PUBLIC_URL?.startsWith('https:') === true;
  const headers = headersOf({
    contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: NOTHING, baseUri: NOTHING, formAction: SELF, frameAncestors: NOTHING } },
    crossOriginEmbedderPolicy: false,
    strictTransportSecurity: encrypted && { maxAge: YEAR_SECONDS, includeSubDomains: true },
    referrerPolicy: { policy: 'no-referrer' },
    xFrameOptions: { action: 'deny' },
  });
  fastify.addHook('onRequest', (_request, reply, done) => {
    for (const [name, value] of headers) reply.raw.setHeader(name, value);
    void reply.header('Permissions-Policy', PERMISSIONS).header('Cache-Control', 'no-store');
    done();
  });
  fastify.addHook('onSend', (_request, reply, _payload, done) => {
    const type = reply.getHeader('Content-Type');
    // A page that says itself what may run there keeps its word, which is stricter.
    if (typeof type === 'string' && type.startsWith('text/html') && !String(reply.getHeader('Content-Security-Policy')).includes('script-src')) void reply.header('Content-Security-Policy', PAGE_POLICY);
    done();
  });
}

/** What helmet would set; the same for every answer, so it is asked once. */
function headersOf(options: HelmetOptions): [name: string, value: string][] {
  const headers: [string, string][] = [];
  // Of the answer helmet uses these two alone, and nothing of the request.
  const answer = { setHeader: (name: string, value: string) => { headers.push([name, value]); }, removeHeader: () => undefined } as unknown as ServerResponse;
  helmet(options)({} as IncomingMessage, answer, () => undefined);
  return headers;
}
