import type { OpenAPIObject } from '@nestjs/swagger';

const HEADERS: Record<string, string> = {
  'RateLimit-Limit': 'Requests a minute that the limit closest to its end allows',
  'RateLimit-Remaining': 'Requests that remain of it',
  'RateLimit-Reset': 'Seconds until it starts anew',
  'RateLimit-Policy': 'The limit and its window in seconds, as `60000;w=60`',
  'Retry-After': 'Seconds until it makes sense to come again',
};
/** On every limited answer; a client that is refused reads the fifth. */
const EVERY = Object.keys(HEADERS).filter((name) => name !== 'Retry-After');
const UNLIMITED = new Set(['/health', '/ready', '/metrics']);

/** Documents the headers of the rate limits on successes and on the refusal. */
export function withRateLimitHeaders(document: OpenAPIObject): OpenAPIObject {
  for (const [path, operations] of Object.entries(document.paths)) {
    if (UNLIMITED.has(path)) continue;
    for (const { responses } of Object.values(operations) as { responses?: Record<string, { headers?: Record<string, unknown> }> }[]) {
      for (const [status, response] of Object.entries(responses ?? {})) {
        if (!status.startsWith('2') && status !== '429') continue;
        const names = status === '429' ? Object.keys(HEADERS) : EVERY;
        response.headers = { ...response.headers, ...Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }])) };
      }
    }
  }
  const headers = Object.fromEntries(Object.entries(HEADERS).map(([name, description]) => [name, { description, schema: { type: 'string' as const } }]));
  return { ...document, components: { ...document.components, headers: { ...document.components?.headers, ...headers } } };
}
