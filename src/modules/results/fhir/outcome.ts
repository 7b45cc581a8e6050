import { RouteConfig } from '@nestjs/platform-fastify';
import type { OperationOutcome, OperationOutcomeIssue } from '@medplum/fhirtypes';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { AppError, errorTitle, type ErrorCode, type Language } from '../../../kernel/errors.js';
import { logFieldsOf } from '../../../platform/http/access.js';
import { asAppError, type ErrorForm } from '../../../platform/http/problem.filter.js';
import { languageOf } from '../../../platform/http/problem.js';
import type { ErrorDocumentation } from '../../../platform/http/openapi.js';
import type { Logger } from '../../../platform/ops/logger.js';

export const FHIR_JSON = 'application/fhir+json';
/** @see https://hl7.org/fhir/R4/http.html#version-parameter */
export const CONTENT_TYPE = `${FHIR_JSON}; fhirVersion=4.0; charset=utf-8`;
export const PROBLEM_SYSTEM = 'urn:healthvision:problem';

/** FHIR's kinds of issues, by status. @see https://hl7.org/fhir/R4/valueset-issue-type.html */
const ISSUES: Readonly<Partial<Record<number, OperationOutcomeIssue['code']>>> = {
  400: 'invalid', 401: 'login', 403: 'forbidden', 404: 'not-found', 405: 'not-supported', 406: 'not-supported', 408: 'timeout', 410: 'deleted', 413: 'too-long', 414: 'too-long', 415: 'not-supported', 429: 'throttled', 431: 'too-long', 503: 'transient',
};

/** An error as FHIR tells of it: an issue for each fault of a query. */
export function outcomeOf(error: AppError, language: Language): OperationOutcome {
  const title = errorTitle(error.code, language);
  const issue = (diagnostics: string | undefined, expression: string | undefined): OperationOutcomeIssue => ({
    severity: error.status >= 500 ? 'fatal' : 'error',
    code: ISSUES[error.status] ?? (error.status >= 500 ? 'exception' : 'processing'),
    details: { coding: [{ system: PROBLEM_SYSTEM, code: error.code, display: title }], text: title },
    ...(diagnostics !== undefined && diagnostics !== '' && { diagnostics }),
    ...(expression !== undefined && expression !== '' && { expression: [expression] }),
  });
  const { errors = [] } = error;
  return { resourceType: 'OperationOutcome', issue: errors.length === 0 ? [issue(error.detail, undefined)] : errors.map(({ pointer, detail }) => issue(detail, pointer.slice(1))) };
}

/** What was not done as asked, though the rest was. */
export function warningOf(ignored: readonly string[]): OperationOutcome {
  return {
    resourceType: 'OperationOutcome',
    issue: ignored.map((name) => ({ severity: 'warning', code: 'not-supported', details: { text: `The parameter ${name} is not supported and was ignored.` }, expression: [name] })),
  };
}

function answerOutcome(thrown: unknown, request: FastifyRequest, reply: FastifyReply, logger: Logger): void {
  const error = asAppError(thrown);
  const language = languageOf(request.headers['accept-language']);
  if (error.status >= 500) logger.error({ err: thrown, ...logFieldsOf(request), code: error.code }, 'request failed');
  if (error.retryAfterSeconds !== undefined) void reply.header('Retry-After', String(error.retryAfterSeconds));
  if (error.status === 401 && !reply.hasHeader('WWW-Authenticate')) void reply.header('WWW-Authenticate', 'Bearer realm="healthvision"');
  for (const name of ['ETag', 'Last-Modified']) void reply.removeHeader(name);
  void reply.status(error.status).header('Content-Type', CONTENT_TYPE).header('Content-Language', language).send(JSON.stringify(outcomeOf(error, language)));
}

/** Everything that goes wrong on a route of FHIR is answered as an OperationOutcome, also before its handler. */
export const FhirErrorAnswers = (): MethodDecorator => RouteConfig({ answerError: answerOutcome } satisfies ErrorForm);

const outcomeSchema = z
  .looseObject({ resourceType: z.literal('OperationOutcome'), issue: z.array(z.looseObject({ severity: z.string(), code: z.string() })) })
  .meta({ id: 'FhirOperationOutcome', description: 'FHIR R4 OperationOutcome; `details.coding` holds the code of the problem' });

/** For the API document. */
export const OUTCOMES: ErrorDocumentation = {
  mediaType: FHIR_JSON,
  schema: outcomeSchema,
  example: (code: ErrorCode) => outcomeOf(new AppError(code), 'en'),
};
