import { StandardSchemaValidationPipe, type ArgumentMetadata, type PipeTransform } from '@nestjs/common';
import { AppError, type ErrorCode, type FieldError } from '../../kernel/errors.js';

const PIPES: Record<ArgumentMetadata['type'], StandardSchemaValidationPipe> = {
  body: refusingWith('invalid-body'), query: refusingWith('invalid-query'), param: refusingWith('not-found'), custom: refusingWith('bad-request'),
};

/** Validates what a handler declares with `{schema}`. A path parameter of the wrong form names nothing that exists: 404. */
export class SchemaValidationPipe implements PipeTransform {
  async transform(value: unknown, metadata: ArgumentMetadata): Promise<unknown> {
    return PIPES[metadata.type].transform(value, metadata);
  }
}

function refusingWith(code: ErrorCode): StandardSchemaValidationPipe {
  return new StandardSchemaValidationPipe({
    exceptionFactory: (issues) => new AppError(code, code === 'not-found' ? {} : { errors: issues.flatMap(fieldErrors) }),
  });
}

type Issue = { message: string; path?: readonly (PropertyKey | { key: PropertyKey })[] | undefined; keys?: unknown };

function fieldErrors(issue: Issue): FieldError[] {
  const path = (issue.path ?? []).map((segment) => (typeof segment === 'object' ? segment.key : segment));
  // zod reports unknown fields at their parent, with the names in `keys`.
  const paths = Array.isArray(issue.keys) ? issue.keys.map((key) => [...path, String(key)]) : [path];
  return paths.map((segments) => ({ pointer: segments.map((segment) => `/${String(segment).replaceAll('~', '~0').replaceAll('/', '~1')}`).join(''), detail: Array.isArray(issue.keys) ? 'Unknown field' : issue.message }));
}
