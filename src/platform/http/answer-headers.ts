import helmet from '@fastify/helmet';
import type { FastifyInstance } from 'fastify';
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
export async function sendSafeHeaders(fastify: FastifyInstance, config: Pick<Config, 'TLS_CERT_FILE' | 'PUBLIC_URL'>): Promise<void> {
  const encrypted = config.TLS_CERT_FILE !== undefined || config.PUBLIC_URL?.startsWith('https:') === true;
  await fastify.register(helmet, {
    contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: NOTHING, baseUri: NOTHING, formAction: SELF, frameAncestors: NOTHING } },
    crossOriginEmbedderPolicy: false,
    strictTransportSecurity: encrypted && { maxAge: YEAR_SECONDS, includeSubDomains: true },
    referrerPolicy: { policy: 'no-referrer' },
    xFrameOptions: { action: 'deny' },
  });
  fastify.addHook('onRequest', async (_request, reply) => {
    void reply.header('Permissions-Policy', PERMISSIONS).header('Cache-Control', 'no-store');
  });
  fastify.addHook('onSend', async (_request, reply) => {
    const type = reply.getHeader('Content-Type');
    // A page that says itself what may run there keeps its word, which is stricter.
    if (typeof type === 'string' && type.startsWith('text/html') && !String(reply.getHeader('Content-Security-Policy')).includes('script-src')) void reply.header('Content-Security-Policy', PAGE_POLICY);
  });
}
