import { openSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { AppError } from '../../src/kernel/errors.js';
import { createLogger, NestLogger, type Logger } from '../../src/platform/ops/logger.js';
import { ROOT, temporaryDirectory } from '../support/product.js';

/** A document, dotted names expanded as Elasticsearch does. */
type Document = Record<string, unknown>;
/** Of a pipeline; the words are checked where they are used. */
type Step = Record<string, unknown>;

const folder = temporaryDirectory();
afterAll(() => { rmSync(folder, { recursive: true, force: true }); });

let files = 0;
/** What a logger of ours writes. */
function lineOf(write: (logger: Logger) => void, surroundings?: () => object): string {
  const path = join(folder, String(files++));
  write(createLogger('trace', { role: 'api' }, openSync(path, 'w'), surroundings));
  return readFileSync(path, 'utf8').trimEnd();
}

const read = (name: string): unknown => parse(readFileSync(join(ROOT, 'docker', 'logging', name), 'utf8'), { strict: true, uniqueKeys: true });

function get(document: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((at, name) => (typeof at === 'object' && at !== null ? (at as Document)[name] : undefined), document);
}

function put(document: Document, path: string, value: unknown): void {
  const names = path.split('.');
  const last = names.pop() ?? '';
  let at = document;
  for (const name of names) at = (at[name] ??= {}) as Document;
  at[last] = value;
}

function take(document: Document, path: string): unknown {
  const value = get(document, path);
  const names = path.split('.');
  const last = names.pop() ?? '';
  const holder = (names.length === 0 ? document : get(document, names.join('.'))) as Document | undefined;
  if (holder) Reflect.deleteProperty(holder, last);
  return value;
}

/** Dots in names lead into objects. */
function expanded(record: Document): Document {
  const document: Document = {};
  for (const [key, value] of Object.entries(record)) put(document, key, typeof value === 'object' && value !== null && !Array.isArray(value) ? expanded(value as Document) : value);
  return document;
}

function textOf(step: Step, name: string): string {
  const value = step[name];
  return typeof value === 'string' ? value : '';
}

/** What stays empty is not there. */
function tidied(document: Document): Document {
  return Object.fromEntries(Object.entries(document).flatMap(([name, value]) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return [[name, value]];
    const inside = tidied(value as Document);
    return Object.keys(inside).length === 0 ? [] : [[name, inside]];
  }));
}

/** The processors that the configuration uses, as Filebeat's reference describes them. */
function filebeat(line: string): Document {
  const { processors } = read('filebeat.yaml') as { processors: Record<string, Step>[] };
  const document: Document = { message: line };
  for (const [name, step] of processors.flatMap((processor) => Object.entries(processor))) {
    const { when, fields } = conditionOf(step);
    if (!when(document)) continue;
    if (name === 'add_fields') for (const [path, value] of Object.entries(fields as Document)) put(document, path, value);
    else if (name === 'decode_json_fields') {
      try { document[step.target as string] = JSON.parse(String(document.message)); } catch { /* stays as it is */ }
    } else if (name === 'timestamp') {
      const time = get(document, step.field as string);
      if (typeof time === 'string') document['@timestamp'] = new Date(time).toISOString();
    } else if (name === 'drop_fields') for (const path of fields as string[]) take(document, path);
    else if (name === 'rename') {
      for (const { from, to } of fields as { from: string; to: string }[]) if (get(document, from) !== undefined && get(document, to) === undefined) put(document, to, take(document, from));
    } else throw new Error(`no such processor is expected: ${name}`);
  }
  return tidied(document);
}

function conditionOf(step: Step): { when: (document: Document) => boolean; fields: unknown } {
  const has = (step['when.has_fields'] ?? []) as string[];
  const message = step['when.equals.message'];
  return { when: (document) => has.every((path) => get(document, path) !== undefined) && (message === undefined || document.message === message), fields: step.fields };
}

/** The filters that the configuration uses, as Fluent Bit's manual describes them: on the top level's keys, dots and all. */
function fluentBit(line: string): Document {
  const { pipeline: { filters }, parsers: [parser] } = read('fluent-bit.yaml') as { pipeline: { filters: Step[] }; parsers: Step[] };
  let record: Document = { log: line };
  let time: string | undefined;
  for (const filter of filters) {
    if (filter.name === 'parser') {
      try {
        record = JSON.parse(String(record[filter.key_name as string])) as Document;
        time = String(record[parser?.time_key as string]);
        Reflect.deleteProperty(record, parser?.time_key as string);
      } catch { /* stays as it is */ }
    } else if (filter.operation === 'nest') {
      const prefix = (filter.wildcard as string).slice(0, -1);
      const inside = Object.entries(record).filter(([key]) => key.startsWith(prefix));
      for (const [key] of inside) Reflect.deleteProperty(record, key);
      if (inside.length > 0) record[filter.nest_under as string] = Object.fromEntries(inside.map(([key, value]) => [key.slice(textOf(filter, 'remove_prefix').length), value]));
    } else if (filter.operation === 'lift') {
      const inside = (record[filter.nested_under as string] ?? {}) as Document;
      Reflect.deleteProperty(record, filter.nested_under as string);
      for (const [key, value] of Object.entries(inside)) record[`${String(filter.add_prefix)}${key}`] = value;
    } else if (filter.name === 'modify') {
      const [, key = '', value] = /^Key_value_equals (\S+) (.+)$/.exec(textOf(filter, 'condition')) ?? [];
      if (filter.condition !== undefined && record[key] !== value) continue;
      const rules = (name: string): [string, string][] => ((filter[name] ?? []) as string[]).map((rule) => rule.split(' ') as [string, string]);
      for (const [from, to] of rules('rename')) if (from in record && !(to in record)) { record[to] = record[from]; Reflect.deleteProperty(record, from); }
      for (const [name, text] of rules('add')) record[name] ??= text;
    } else throw new Error(`no such filter is expected: ${String(filter.name)}`);
  }
  return tidied({ ...expanded(record), ...(time !== undefined && { '@timestamp': time }) });
}

const TRACED = { requestId: 'r-000001', userId: '0198c0de-0000-7000-8000-00000000000a', trace_id: '4bf92f3577b34da6a3ce929d0e0e4736', span_id: '00f067aa0ba902b7' };
const EVERY = { 'service': { name: 'healthvision', node: { roles: 'api' } }, 'ecs': { version: '8.11.0' }, 'event': { dataset: 'healthvision.log' }, 'process': { pid: process.pid }, '@timestamp': expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string };

describe.each([['filebeat.yaml', filebeat], ['fluent-bit.yaml', fluentBit]] as const)('docker/logging/%s', (_name, ship) => {
  it('has a field of ECS for everything that a line always has', () => {
    const line = lineOf((logger) => { logger.warn('words'); }, () => TRACED);
    expect(Object.keys(JSON.parse(line) as object).sort()).toEqual(['level', 'msg', 'pid', 'requestId', 'role', 'span_id', 'time', 'trace_id', 'userId']);
    expect(ship(line)).toEqual({
      ...EVERY, message: 'words', log: { level: 'warn' }, trace: { id: TRACED.trace_id }, span: { id: TRACED.span_id }, http: { request: { id: TRACED.requestId } }, user: { id: TRACED.userId },
    });
  });

  it('keeps what a request was under the names that dashboards for HTTP look for', () => {
    const line = lineOf((logger) => { logger.info({ ...TRACED, method: 'GET', route: '/api/v1/studies/:studyInstanceUid', status: 404, ms: 12 }, 'request'); });
    expect(ship(line)).toMatchObject({ http: { request: { id: TRACED.requestId, method: 'GET' }, response: { status_code: 404 } }, healthvision: { route: '/api/v1/studies/:studyInstanceUid', ms: 12 } });
    // The status of another protocol is a text.
    expect(ship(lineOf((logger) => { logger.warn({ status: '0xa700' }, 'C-STORE refused'); }))).toMatchObject({ message: 'C-STORE refused', healthvision: { status: '0xa700' } });
  });

  it('says what an error was', () => {
    const error = new AppError('blob-corrupt', { detail: 'of a stored instance', cause: new TypeError('below') });
    expect(ship(lineOf((logger) => { logger.error({ err: error, institutionId: 'i-1', queue: 'run' }, 'job is parked'); }))).toEqual({
      ...EVERY, message: 'job is parked', log: { level: 'error' }, organization: { id: 'i-1' },
      error: { type: 'AppError', code: 'blob-corrupt', message: expect.any(String) as string, stack_trace: expect.stringContaining('at ') as string },
      healthvision: { queue: 'run', err: { cause: { type: 'TypeError', message: 'below', stack: expect.any(String) as string } } },
    });
  });

  it('knows the framework by its name, and lets through what is no JSON', () => {
    expect(ship(lineOf((logger) => { new NestLogger(logger).warn('careful', 'Router'); }))).toEqual({ ...EVERY, message: 'careful', log: { level: 'warn', logger: 'Router' } });
    expect(ship('HealthVision 0.1.0 (api) listens at http://127.0.0.1:8080')).toMatchObject({ message: 'HealthVision 0.1.0 (api) listens at http://127.0.0.1:8080', service: { name: 'healthvision' } });
  });
});
