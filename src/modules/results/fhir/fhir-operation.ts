import { applyDecorators } from '@nestjs/common';
import { ApiConsumes, ApiQuery } from '@nestjs/swagger';
import { z } from 'zod';
import { Operation, type OperationDescription } from '../../../platform/http/openapi.js';
import { FHIR_JSON, FhirErrorAnswers, OUTCOMES } from './outcome.js';
import { INCLUDES, SEARCH_PARAMETERS, type FhirType } from './search-parameters.js';

/** An operation whose errors are OperationOutcomes. */
export function FhirOperation(description: OperationDescription): MethodDecorator {
  return applyDecorators(FhirErrorAnswers(), Operation({ ...description, errors: OUTCOMES, problems: [...(description.problems ?? []), 'not-acceptable'] }));
}

const bundleSchema = z
  .looseObject({
    resourceType: z.literal('Bundle'), type: z.string(),
    link: z.array(z.looseObject({ relation: z.string(), url: z.string() })).optional(),
    entry: z.array(z.looseObject({ fullUrl: z.string().optional(), resource: z.looseObject({ resourceType: z.string() }) })).optional(),
  })
  .meta({ id: 'FhirBundle', description: 'FHIR R4 Bundle' });

const ID = '0198c0de-4a10-7c3e-9d52-6f0f1c2b3a49';
const REPRESENTATION_HEADERS = { 'ETag': 'Weak: the version of the resource', 'Last-Modified': 'When it last changed', 'Content-Language': '`en` or `zh-CN`, after Accept-Language' };

export function resourceSchema(type: FhirType | 'CapabilityStatement'): z.ZodType {
  return z.looseObject({ resourceType: z.literal(type), id: z.string().optional() }).meta({ id: `Fhir${type}`, description: `FHIR R4 ${type}: https://hl7.org/fhir/R4/${type.toLowerCase()}.html` });
}

/** A Bundle in the API document. */
export const bundleAnswer = (description: string, type: string): OperationDescription['answers'][number] => ({
  description, mediaType: FHIR_JSON, schema: bundleSchema, example: { resourceType: 'Bundle', type, entry: [{ fullUrl: `https://host/fhir/DiagnosticReport/${ID}`, resource: { resourceType: 'DiagnosticReport', id: ID, status: 'preliminary' } }] },
});

export const ReadOperation = (type: FhirType): MethodDecorator => FhirOperation({
  id: `readFhir${type}`, summary: `Read one ${type}`,
  answers: {
    200: { description: 'The resource', mediaType: FHIR_JSON, schema: resourceSchema(type), example: { resourceType: type, id: ID }, headers: REPRESENTATION_HEADERS },
    304: { description: 'The caller has this version' },
  },
  problems: ['invalid-query', 'not-found'],
});

const SEARCH_DESCRIPTION = 'Newest first, page by page: follow the link `next`. What is not known is ignored, and an entry says so; with `Prefer: handling=strict` it is refused. Names of patients stand in no link.';

export const SearchOperation = (type: FhirType): MethodDecorator => applyDecorators(
  FhirOperation({ id: `searchFhir${type}`, summary: `Search ${type} resources`, description: SEARCH_DESCRIPTION, answers: { 200: bundleAnswer('A page of what was found', 'searchset') }, problems: ['invalid-query'] }),
  ...parametersOf(type).map(([name, description]) => ApiQuery({ name, description, required: false, schema: { type: 'string' } })),
);

/** The same with the parameters in a form, where they stand in nobody's log. */
export const FormSearchOperation = (type: FhirType): MethodDecorator => applyDecorators(
  FhirOperation({ id: `searchFhir${type}ByForm`, summary: `Search ${type} resources with a form`, description: `${SEARCH_DESCRIPTION} The form has the parameters of the search by GET, which proxies would write into their logs.`, answers: { 200: bundleAnswer('A page of what was found', 'searchset') }, problems: ['invalid-query', 'invalid-body', 'unsupported-media-type', 'payload-too-large'] }),
  ApiConsumes('application/x-www-form-urlencoded'),
);

/** The fields of such a form; more are allowed, as in a query. */
export function searchForm(type: FhirType): z.ZodType<Record<string, string | string[]> | undefined> {
  const field = z.union([z.string(), z.array(z.string())]);
  return z.object(Object.fromEntries(parametersOf(type).map(([name, description]) => [name, field.optional().meta({ description })]))).catchall(field).optional() as z.ZodType<Record<string, string | string[]> | undefined>;
}

function parametersOf(type: FhirType): [name: string, description: string][] {
  const includes = Object.keys(INCLUDES[type]).map((name) => `\`${type}:${name}\``);
  return [
    ...Object.entries(SEARCH_PARAMETERS[type]).map(([name, { documentation, kind }]): [string, string] => [name, kind === 'day' || kind === 'instant' ? `${documentation}; with a prefix such as \`ge\` or \`lt\`` : documentation]),
    ['_count', 'Resources a page, at most 200'], ['_cursor', 'Of the link to the next page'],
    ...(includes.length > 0 ? [['_include', `What it refers to as well: ${includes.join(', ')}`] as [string, string]] : []),
  ];
}
