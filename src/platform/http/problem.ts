import { z } from 'zod';
import { ERROR_CODES, errorTitle, type AppError, type ErrorCode, type Language } from '../../kernel/errors.js';

/** RFC 9457. `type` is a stable URI per code. */
export const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.number().int(),
    detail: z.string().optional(),
    code: z.string(),
    requestId: z.string(),
    errors: z.array(z.object({ pointer: z.string(), detail: z.string() })).optional(),
  })
  .meta({ id: 'Problem', description: 'RFC 9457 problem details' });

export type Problem = z.infer<typeof problemSchema>;

export function problemOf(error: AppError, requestId: string, language: Language): Problem {
  return {
    type: problemType(error.code),
    title: errorTitle(error.code, language),
    status: error.status,
    ...(error.detail !== undefined && { detail: error.detail }),
    code: error.code,
    requestId,
    ...(error.errors && { errors: error.errors }),
  };
}

export function problemType(code: ErrorCode): string {
  return `urn:healthvision:problem:${code}`;
}

/** The code that stands for a status which the framework chose. */
export function codeForStatus(status: number): ErrorCode {
  const plain: Partial<Record<number, ErrorCode>> = {
    400: 'bad-request', 401: 'unauthenticated', 403: 'forbidden', 404: 'not-found', 405: 'method-not-allowed', 406: 'not-acceptable', 408: 'request-timeout',
    409: 'conflict', 412: 'precondition-failed', 413: 'payload-too-large', 414: 'uri-too-long', 415: 'unsupported-media-type', 417: 'expectation-failed', 422: 'unprocessable', 429: 'too-many-requests', 431: 'headers-too-large', 503: 'shutting-down',
  };
  return plain[status] ?? (status < 500 ? 'bad-request' : 'internal');
}

export function languageOf(acceptLanguage: string | undefined): Language {
  const first = (acceptLanguage ?? '')
    .split(',')
    .map((part) => { const [tag = '', ...rest] = part.trim().split(';'); const q = rest.find((r) => r.trim().startsWith('q=')); return { tag: tag.toLowerCase(), q: q ? Number(q.trim().slice(2)) : 1 }; })
    .filter(({ tag, q }) => q > 0 && (tag.startsWith('zh') || tag.startsWith('en')))
    .sort((a, b) => b.q - a.q)[0];
  return first?.tag.startsWith('zh') ? 'zh-CN' : 'en';
}

export const ALL_CODES = Object.keys(ERROR_CODES) as ErrorCode[]; // the table's keys are its codes
