import type { Product } from './product.js';

/** One operation of the API document, as much of it as decides who may call it and with what. */
export interface DocumentedOperation {
  method: string;
  /** With `{parameters}`. */
  path: string;
  /** A permission, `authenticated` or `public`. */
  access: string | undefined;
  /** Content type and example of the body, when it takes one. */
  body: { type: string; example: unknown } | undefined;
  statuses: readonly string[];
}

type Schema = { $ref?: string; example?: unknown; examples?: unknown[]; properties?: Record<string, Schema>; required?: string[] };
type Media = Record<string, { example?: unknown; schema?: Schema }>;
interface Document {
  paths: Record<string, Record<string, { 'x-access'?: string; 'requestBody'?: { content: Media }; 'responses': Record<string, unknown> }>>;
  components: { schemas: Record<string, Schema> };
}

const METHODS = new Set(['get', 'put', 'post', 'patch', 'delete', 'head', 'options']);

/** Every operation of `/openapi.json`. */
export async function documentedOperations(url: string): Promise<DocumentedOperation[]> {
  const document = (await (await fetch(`${url}/openapi.json`)).json()) as Document;
  return Object.entries(document.paths).flatMap(([path, operations]) => Object.entries(operations)
    .filter(([method]) => METHODS.has(method))
    .map(([method, operation]) => ({ method: method.toUpperCase(), path, access: operation['x-access'], body: bodyOf(document, operation.requestBody?.content), statuses: Object.keys(operation.responses) })));
}

function bodyOf(document: Document, content: Media | undefined): DocumentedOperation['body'] {
  const [type, media] = Object.entries(content ?? {})[0] ?? [];
  return type === undefined ? undefined : { type, example: media?.example ?? exampleOf(document, media?.schema) ?? {} };
}

/** The schema's example, or one put together from those of its required properties. */
function exampleOf(document: Document, schema: Schema | undefined): unknown {
  if (schema?.$ref !== undefined) return exampleOf(document, document.components.schemas[schema.$ref.split('/').at(-1) ?? '']);
  if (schema === undefined) return undefined;
  const given = schema.example ?? schema.examples?.[0];
  if (given !== undefined || schema.properties === undefined) return given;
  return Object.fromEntries((schema.required ?? []).map((name) => [name, exampleOf(document, schema.properties?.[name])]));
}

/** Parameters of a path and what to put there. Keyed by `{name}`, or by the path up to it where the name alone says too little. */
export type Fillings = Readonly<Record<string, string>>;

/** @throws Error for a parameter that nobody has given a value */
export function filled(path: string, fillings: Fillings): string {
  return path.replaceAll(/\{(\w+)\}/g, (parameter, name: string, offset: number) => {
    const value = fillings[`${path.slice(0, offset)}${parameter}`] ?? fillings[name];
    if (value === undefined) throw new Error(`${path}: say in the matrix what {${name}} is`);
    return encodeURIComponent(value);
  });
}

export interface Caller {
  name: string;
  headers: Record<string, string>;
}

/** Calls an operation; of an endless answer only the head is read. */
export async function attempt(product: Product, { method, body }: DocumentedOperation, path: string, caller: Caller): Promise<{ status: number; text: string; headers: Headers }> {
  const abort = new AbortController();
  const timer = setTimeout(() => { abort.abort(); }, 20_000);
  try {
    const sends = body !== undefined && method !== 'GET' && method !== 'HEAD';
    const response = await fetch(`${product.url}${path}`, {
      method, redirect: 'manual', signal: abort.signal,
      headers: { ...caller.headers, ...(sends && { 'content-type': body.type.startsWith('multipart/') ? `${body.type}; boundary=x` : body.type }), ...(path.startsWith('/api/v1/uploads') && { 'tus-resumable': '1.0.0' }) },
      ...(sends && { body: body.type.includes('json') ? JSON.stringify(body.example) : '' }),
    });
    if (response.headers.get('content-type')?.startsWith('text/event-stream')) {
      await response.body?.cancel();
      return { status: response.status, text: '', headers: response.headers };
    }
    return { status: response.status, text: await response.text(), headers: response.headers };
  } finally {
    clearTimeout(timer);
  }
}
