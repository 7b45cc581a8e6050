import { applyDecorators, HttpCode, SetMetadata } from '@nestjs/common';
import { ApiOperation, ApiResponse, DocumentBuilder, SwaggerModule, type OpenAPIObject } from '@nestjs/swagger';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { z } from 'zod';
import { ERROR_CODES, errorTitle, type ErrorCode } from '../../kernel/errors.js';
import { withRateLimitHeaders } from './openapi-limits.js';
import { problemSchema, problemType } from './problem.js';

/** One answer of an operation. `schema` documents JSON; anything else goes under its media type. */
export interface Answer {
  description: string;
  schema?: z.ZodType;
  example?: unknown;
  /** Default `application/json`. */
  mediaType?: string;
  /** Other media types that the same can be had in, as text. */
  alsoAs?: readonly string[];
  /** Header name → description. */
  headers?: Record<string, string>;
}

export interface OperationDescription {
  id: string;
  summary: string;
  description?: string;
  /** By status; the first one is the status that the route answers with. */
  answers: Record<number, Answer>;
  /** Codes it can answer with, beside those that every operation has. */
  problems?: readonly ErrorCode[];
  /** Answers without authentication. Goes together with `@Public()`. */
  public?: boolean;
  deprecated?: boolean;
  /** Of a protocol with an error form of its own; without it problem+json. */
  errors?: ErrorDocumentation;
}

/** How a protocol answers errors. */
export interface ErrorDocumentation {
  mediaType: string;
  schema: z.ZodType;
  example: (code: ErrorCode) => unknown;
}

/** Metadata of a handler: its operation's id. */
export const OPERATION_KEY = 'healthvision:operation';

const EVERYWHERE: readonly ErrorCode[] = ['bad-request', 'request-timeout', 'too-many-requests', 'internal', 'database-unavailable', 'audit-unavailable'];
const AUTHENTICATED: readonly ErrorCode[] = ['unauthenticated', 'forbidden'];

/**
 * Documents a route completely: summary, every status with schema and example, security. It also sets the status, when there is
 * one success status only.
 */
export function Operation(description: OperationDescription): MethodDecorator {
  const statuses = Object.keys(description.answers).map(Number);
  const codes = new Set<ErrorCode>([...EVERYWHERE, ...(description.public ? [] : AUTHENTICATED), ...(description.problems ?? [])]);
  const first = statuses[0];
  return applyDecorators(
    ...(first === undefined ? [] : [HttpCode(first)]),
    SetMetadata(OPERATION_KEY, description.id),
    ApiOperation({
      operationId: description.id,
      summary: description.summary,
      description: description.description ?? description.summary,
      ...(description.public && { security: [] }),
      ...(description.deprecated && { deprecated: true }),
    }),
    ...responses(description.answers, codes, description.errors).map((response) => ApiResponse(response)),
  );
}

/** What a client of an event stream gets piece by piece. @see HTML, 9.2 Server-sent events */
export const serverSentEvent = z
  .object({ event: z.string().optional(), id: z.string().optional(), retry: z.number().optional(), data: z.string().optional().meta({ contentMediaType: 'application/json' }) })
  .meta({ id: 'ServerSentEvent' });

type Content = Record<string, { schema: object; example?: unknown; examples?: Record<string, { value: unknown }> }>;
interface Response { status: number; description: string; content?: Content; headers?: Record<string, { description: string; schema: { type: 'string' } }> }

/** One response per status; a status that has an answer and problems carries both media types. */
function responses(answers: Record<number, Answer>, codes: ReadonlySet<ErrorCode>, errors?: ErrorDocumentation): Response[] {
  const byStatus = new Map(Object.entries(answers).map(([status, answer]) => [Number(status), answerResponse(Number(status), answer)]));
  for (const problem of problemResponses(codes, errors)) {
    const answer = byStatus.get(problem.status);
    byStatus.set(problem.status, answer ? { ...answer, description: `${answer.description}; ${problem.description}`, content: { ...answer.content, ...problem.content } } : problem);
  }
  return [...byStatus.values()];
}

function answerResponse(status: number, answer: Answer): Response {
  const mediaType = answer.mediaType ?? (answer.schema ? 'application/json' : undefined);
  return {
    status,
    description: answer.description,
    ...(mediaType !== undefined && { content: {
      [mediaType]: { schema: answer.schema ? jsonSchema(answer.schema, 'output') : { type: 'string', format: 'binary' }, ...(answer.example !== undefined && { example: answer.example }) },
      ...Object.fromEntries((answer.alsoAs ?? []).map((type) => [type, { schema: { type: 'string' } }])),
    } }),
    ...(answer.headers && { headers: Object.fromEntries(Object.entries(answer.headers).map(([name, text]) => [name, { description: text, schema: { type: 'string' as const } }])) }),
  };
}

const PROBLEMS: ErrorDocumentation = {
  mediaType: 'application/problem+json',
  schema: problemSchema,
  example: (code) => ({ type: problemType(code), title: errorTitle(code), status: ERROR_CODES[code].status, code, requestId: '0198c0de-0000-7000-8000-000000000000' }),
};

/** An example per code. */
function problemResponses(codes: ReadonlySet<ErrorCode>, errors: ErrorDocumentation = PROBLEMS): Response[] {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of codes) byStatus.set(ERROR_CODES[code].status, [...(byStatus.get(ERROR_CODES[code].status) ?? []), code]);
  return [...byStatus].map(([status, group]) => ({
    status,
    description: group.map((code) => `\`${code}\`: ${errorTitle(code)}`).join('; '),
    content: {
      [errors.mediaType]: {
        schema: errors === PROBLEMS ? { $ref: '#/components/schemas/Problem' } : jsonSchema(errors.schema, 'output'),
        examples: Object.fromEntries(group.map((code) => [code, { value: errors.example(code) }])),
      },
    },
  }));
}

/** JSON Schema (2020-12) of a zod schema; schemas with `meta({id})` go to `$defs`, from where `createDocument` lifts them. */
export function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): Record<string, unknown> {
  const { $schema: _, ...json } = z.toJSONSchema(schema, { target: 'draft-2020-12', io, unrepresentable: 'any' }) as Record<string, unknown>;
  const id = z.globalRegistry.get(schema)?.id;
  // A schema with an id comes as a reference into its own `$defs`.
  if (id === undefined || '$ref' in json) return json;
  const { $defs, id: __, ...body } = json;
  return { $ref: `#/$defs/${id}`, $defs: { ...($defs as Record<string, unknown> | undefined), [id]: body } };
}

const DESCRIPTION = `Medical-imaging AI backend: studies in over REST and DICOMweb, findings out. Not for primary diagnosis.

Everybody works in their own institution. A platform administrator enters another one call by call, in person, with two headers:
\`X-Institution-Id\`, the id of the institution, and \`X-Access-Reason\`, why, in 10 to 500 characters (other letters than English percent-encoded).
The reason is put on record there. Without it the answer is \`access-reason-required\`; everybody else is refused.`;

/** The OpenAPI 3.1 document of the application. */
export function createDocument(app: NestFastifyApplication, version: string): OpenAPIObject {
  const config = new DocumentBuilder()
    .setTitle('HealthVision')
    .setDescription(DESCRIPTION)
    .setVersion(version)
    .setOpenAPIVersion('3.1.0')
    .setLicense('Apache-2.0', 'https://www.apache.org/licenses/LICENSE-2.0')
    .setContact('HealthVision', 'https://healthvision.example', 'support@healthvision.example')
    .addServer('/', 'This installation')
    .addOAuth2({ type: 'oauth2', description: 'People sign in with e-mail address and password, systems with their client', flows: { password: { tokenUrl: '/oauth2/token', refreshUrl: '/oauth2/token', scopes: {} }, clientCredentials: { tokenUrl: '/oauth2/token', scopes: {} } } }, 'oauth2')
    .addBearerAuth({ type: 'http', scheme: 'bearer', bearerFormat: 'JWT' }, 'bearer')
    .addApiKey({ type: 'apiKey', in: 'header', name: 'X-API-Key' }, 'apiKey')
    .addCookieAuth('hv_session', { type: 'apiKey', in: 'cookie', name: 'hv_session', description: 'Of pages; every call that changes something also needs `X-CSRF-Token`, whose value is that of the cookie `hv_csrf`' }, 'cookie')
    .addSecurityRequirements('oauth2')
    .addSecurityRequirements('bearer')
    .addSecurityRequirements('apiKey')
    .addSecurityRequirements('cookie');
  for (const [name, text] of TAGS) config.addTag(name, text);
  const document = SwaggerModule.createDocument(app, config.build(), {
    autoTagControllers: false,
    standardSchemaConverter: (schema, { schemaType }) => (schema instanceof z.ZodType ? { schema: jsonSchema(schema, schemaType) } : undefined),
  });
  return withRateLimitHeaders(withoutPrefilledFilters(liftDefinitions(document)));
}

/** Swagger UI sends the examples of optional parameters with the first call: a list would come back filtered to nothing. */
function withoutPrefilledFilters(document: OpenAPIObject): OpenAPIObject {
  for (const path of Object.values(document.paths)) {
    for (const operation of Object.values(path) as { parameters?: { in: string; required?: boolean; name: string; example?: unknown; schema?: Record<string, unknown> }[] }[]) {
      for (const parameter of operation.parameters ?? []) {
        if (parameter.in !== 'query' || parameter.required === true || parameter.name === 'limit') continue;
        delete parameter.example;
        delete parameter.schema?.example;
        delete parameter.schema?.examples;
      }
    }
  }
  return document;
}

const TAGS = [
  ['sign-in', 'Tokens and keys'], ['institutions', 'Institutions'], ['users', 'People'], ['api-keys', 'Keys of systems'], ['oauth-clients', 'Systems that sign in by themselves'], ['break-glass', 'Emergency access'],
  ['images', 'Upload of files'], ['studies', 'Studies and their completeness'], ['patients', 'Patients, what is kept of them, and its end'], ['dicomweb', 'DICOMweb (PS3.18)'], ['dimse', 'Who may send by DIMSE'],
  ['analyses', 'Runs of an analysis'], ['models', 'Installed models'], ['routing-rules', 'Which studies are analysed, and how urgently'], ['critical-rules', 'When a result is critical'], ['results', 'Findings'], ['fhir', 'FHIR R4, to read'], ['destinations', 'Where the SEG and SR of results are sent'], ['jobs', 'Queues, and jobs that need somebody'],
  ['webhooks', 'What other systems are told'], ['notifications', 'What people should know'], ['audit', 'Who did and saw what'], ['operations', 'Health and metrics'],
] as const;

/** Moves every `$defs` to `components.schemas` and points the references there. */
function liftDefinitions(document: OpenAPIObject): OpenAPIObject {
  const definitions: Record<string, unknown> = {};
  const visit = (node: unknown): unknown => {
    if (Array.isArray(node)) return node.map(visit);
    if (typeof node !== 'object' || node === null) return node;
    const rest: Record<string, unknown> = {};
    for (const [key, value] of Object.entries(node)) {
      if (key === '$defs') for (const [name, definition] of Object.entries(value as Record<string, unknown>)) definitions[name] = withoutId(visit(definition));
      else if (key === '$ref' && typeof value === 'string') rest[key] = value.replace('#/$defs/', '#/components/schemas/');
      else rest[key] = visit(value);
    }
    return rest;
  };
  // Every problem response refers to it by name.
  visit(jsonSchema(problemSchema, 'output'));
  const lifted = visit(document) as OpenAPIObject;
  const schemas = { ...definitions, ...lifted.components?.schemas } as NonNullable<OpenAPIObject['components']>['schemas'] & object;
  return { ...lifted, components: { ...lifted.components, schemas } };
}

function withoutId(definition: unknown): unknown {
  if (typeof definition !== 'object' || definition === null) return definition;
  const { id: _, ...rest } = definition as Record<string, unknown>;
  return rest;
}
