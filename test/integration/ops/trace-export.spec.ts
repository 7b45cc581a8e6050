import type { Job } from 'bullmq';
import { openSync, readFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AppError } from '../../../src/kernel/errors.js';
import { parseConfig } from '../../../src/platform/config.js';
import { createLogger } from '../../../src/platform/ops/logger.js';
import { startTracing, type TraceExport } from '../../../src/platform/ops/trace-export.js';
import { continueTrace, currentTraceparent, isTracing, noteOnSpan, openSpan, spanSequence, traceLogFields, withSpan } from '../../../src/platform/ops/tracing.js';
import { HandBack, type JobDefinition } from '../../../src/platform/queue/job.js';
import { inJobSpan, remembering, sending } from '../../../src/platform/queue/job-spans.js';
import type { OutboxEntry } from '../../../src/platform/queue/outbox.js';
import { openCollector, type Collector, type Span } from '../../support/collector.js';
import { eventually, temporaryDirectory } from '../../support/product.js';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT = '00f067aa0ba902b7';
const SAMPLED = `00-${TRACE}-${PARENT}-01`;

let collector: Collector;
let traces: TraceExport | undefined;
let logFile: string;

beforeEach(async () => { collector = await openCollector(); logFile = join(temporaryDirectory(), 'log'); });
afterEach(async () => { await traces?.close(); traces = undefined; collector.close(); });

function start(variables: Record<string, string> = {}): void {
  const config = parseConfig({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, ...variables });
  if (!config.traces) throw new Error('not configured');
  traces = startTracing(config.traces, 'all', createLogger('info', {}, openSync(logFile, 'a')));
}

/** Everything that was traced until now. */
async function exported(): Promise<Span[]> {
  await traces?.close();
  traces = undefined;
  return collector.spans();
}

const log = (): string[] => readFileSync(logFile, 'utf8').split('\n').filter((line) => line !== '').map((line) => (JSON.parse(line) as { msg: string }).msg);

describe('tracing', () => {
  it('is off without an endpoint: what is given is done, and nothing else', async () => {
    expect(parseConfig({ OTEL_SERVICE_NAME: 'somebody', OTEL_TRACES_SAMPLER_ARG: '1' }).traces).toBeUndefined();
    expect(parseConfig({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_SDK_DISABLED: 'true' }).traces).toBeUndefined();
    expect(isTracing()).toBe(false);
    const result = await continueTrace(SAMPLED, () => withSpan('x', {}, () => Promise.resolve([currentTraceparent(), openSpan('y', { parent: SAMPLED })])));
    expect(result).toEqual([undefined, undefined]);
    // Nothing is made for a run either.
    expect(spanSequence()).toBe(spanSequence());
    expect(traceLogFields()).toEqual({});
  });

  it('sends what was done to /v1/traces, in JSON, with the headers and the names that were configured', async () => {
    start({ OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20abc,x-tenant=1', OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test' });
    await withSpan('outer', { 'healthvision.x': 1 }, () => withSpan('inner', {}, () => Promise.resolve()));
    const spans = await exported();
    expect(spans.map(({ name }) => name).sort()).toEqual(['inner', 'outer']);
    const [inner, outer] = [spans.find(({ name }) => name === 'inner'), spans.find(({ name }) => name === 'outer')];
    expect(inner).toMatchObject({ service: 'healthvision', traceId: outer?.traceId, parentSpanId: outer?.spanId });
    expect(outer?.attributes).toEqual({ 'healthvision.x': 1 });
    expect(collector.paths).toEqual(['/v1/traces']);
    expect(collector.headers[0]).toMatchObject({ 'content-type': 'application/json', 'authorization': 'Bearer abc', 'x-tenant': '1' });
    expect(collector.bodies[0]).toContain('"deployment.environment.name"');
  });

  it('continues what was remembered, and begins anew where nothing was or nobody can read it', async () => {
    start();
    const remembered = await continueTrace(SAMPLED, () => withSpan('remembered', {}, () => Promise.resolve(currentTraceparent())));
    expect(remembered).toMatch(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-01$`));
    expect(remembered).not.toBe(SAMPLED);
    await continueTrace(SAMPLED, () => continueTrace(null, () => withSpan('own', {}, () => Promise.resolve())));
    await continueTrace(`00-${'0'.repeat(32)}-${PARENT}-01`, () => withSpan('garbled', {}, () => Promise.resolve()));
    const spans = await exported();
    expect(spans.find(({ name }) => name === 'remembered')).toMatchObject({ traceId: TRACE, parentSpanId: PARENT });
    for (const name of ['own', 'garbled']) {
      const span = spans.find((one) => one.name === name);
      expect(span?.traceId).not.toBe(TRACE);
      expect(span?.parentSpanId).toBeUndefined();
    }
  });

  it('keeps the share of traces that was asked for, and whatever a caller keeps', async () => {
    start({ OTEL_TRACES_SAMPLER_ARG: '0' });
    const unsampled = await withSpan('dropped', {}, () => Promise.resolve(currentTraceparent()));
    // What follows is dropped with it.
    expect(unsampled).toMatch(/-00$/);
    await continueTrace(unsampled, () => withSpan('dropped too', {}, () => Promise.resolve()));
    await continueTrace(SAMPLED, () => withSpan('kept', {}, () => Promise.resolve()));
    expect((await exported()).map(({ name }) => name)).toEqual(['kept']);
  });

  it('tells of an error what it is, never what it says', async () => {
    start();
    await expect(withSpan('a', {}, () => Promise.reject(new AppError('study-not-found', { detail: 'Geheim^Gerda' })))).rejects.toThrow('Geheim');
    await expect(withSpan('b', {}, () => Promise.reject(new TypeError('Geheim^Gerda')))).rejects.toThrow('Geheim');
    await withSpan('c', {}, () => { noteOnSpan({ 'healthvision.outcome': 'failed' }, 'thread-lost'); return Promise.resolve(); });
    const spans = await exported();
    expect(spans.map(({ name, status, attributes, events }) => [name, status, attributes['error.type'], events])).toEqual([
      ['a', { code: 2 }, 'study-not-found', []], ['b', { code: 2 }, 'TypeError', []], ['c', { code: 2 }, 'thread-lost', []],
    ]);
    expect(collector.bodies.join('')).not.toContain('Gerda');
  });

  it('has stages one after the other, under what was under way when they could begin', async () => {
    start();
    await withSpan('run', {}, async () => {
      const stages = spanSequence();
      // As messages of a thread come: from outside.
      await Promise.resolve();
      continueTrace(undefined, () => { for (const name of ['load', 'load', 'infer']) stages.next(name); });
      stages.pause();
      stages.pause();
    });
    const spans = await exported();
    const run = spans.find(({ name }) => name === 'run');
    expect(spans.map(({ name }) => name)).toEqual(['load', 'infer', 'run']);
    expect(spans.filter(({ parentSpanId }) => parentSpanId === run?.spanId)).toHaveLength(2);
  });

  it('goes into jobs and out of them', async () => {
    start();
    const events = [SAMPLED, null].map((traceparent, index): OutboxEntry => ({ id: `event-${String(index)}`, institutionId: 'i', topic: 'study.completed', payload: {}, priority: 0, pending: [], traceparent }));
    const given: (string | null | undefined)[] = [];
    await sending('plan', events, (traceparents) => { given.push(...traceparents); return Promise.resolve(); });
    await expect(sending('plan', events, () => Promise.reject(new AppError('queue-unavailable')))).rejects.toThrow();
    expect(given).toEqual([expect.stringMatching(new RegExp(`^00-${TRACE}-(?!${PARENT})[0-9a-f]{16}-01$`)), null]);

    const seen: (string | undefined)[] = [];
    const handle = (error?: Error) => (): Promise<void> => { seen.push(currentTraceparent()); return error ? Promise.reject(error) : Promise.resolve(); };
    // What the rest of a job and of a definition is, nobody looks at here.
    const job = (traceparent: string | null | undefined): Job => ({ id: 'event-0', name: 'study.completed', attemptsMade: 0, opts: remembering(traceparent) }) as Job;
    const definition = { queue: 'plan' } as JobDefinition;
    await inJobSpan(definition, job(given[0]), handle());
    await expect(inJobSpan(definition, job(given[0]), handle(new HandBack()))).rejects.toBeInstanceOf(HandBack);
    await expect(inJobSpan(definition, job(given[0]), handle(new RangeError('4711')))).rejects.toThrow('4711');
    // On a timer, and one that only wakes somebody.
    await inJobSpan(definition, job(null), handle());
    await inJobSpan({ ...definition, beginsSpans: true }, job(given[0]), handle());
    expect(seen.slice(3)).toEqual([undefined, undefined]);

    const spans = await exported();
    const [sent] = spans;
    expect(spans.map(({ name, kind, parentSpanId, status, attributes }) => [name, kind, parentSpanId, status.code, attributes['error.type'], attributes['healthvision.job.handed_back']])).toEqual([
      ['send plan', 4, PARENT, 0, undefined, undefined], ['send plan', 4, PARENT, 2, 'queue-unavailable', undefined],
      ['process plan', 5, sent?.spanId, 0, undefined, undefined], ['process plan', 5, sent?.spanId, 0, undefined, true], ['process plan', 5, sent?.spanId, 2, 'RangeError', undefined],
    ]);
    // A process that traces nothing hands on what others trace.
    await sending('plan', events, (traceparents) => { expect(traceparents).toEqual([SAMPLED, null]); return Promise.resolve(); });
  });

  it('gives the lines of the log its ids, and what the request says of itself', () => {
    const lines = join(temporaryDirectory(), 'lines');
    start();
    const logger = createLogger('info', {}, openSync(lines, 'a'), traceLogFields);
    const request = openSpan('GET /x', { parent: SAMPLED, logFields: () => ({ requestId: 'r-1', userId: 'u-1' }) });
    request?.within(() => { logger.info({ studyId: 's-1' }, 'in a request'); });
    request?.end();
    logger.info('outside');
    const [inside, outside] = readFileSync(lines, 'utf8').trim().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(inside).toMatchObject({ trace_id: TRACE, span_id: request?.traceparent?.split('-')[2], requestId: 'r-1', userId: 'u-1', studyId: 's-1', msg: 'in a request' });
    expect(outside).not.toHaveProperty('trace_id');
  });

  it('is lost without a word to anybody but the log while the collector refuses it, and goes on when it is taken', async () => {
    collector.answer((response) => { response.writeHead(400).end(); });
    start();
    // More than may wait.
    for (let index = 0; index < 10_000; index++) await withSpan('lost', {}, () => Promise.resolve());
    await eventually('the warning', () => Promise.resolve(log().includes('traces cannot be exported')));
    collector.answer((response) => { response.writeHead(200, { 'content-type': 'application/json' }).end('{}'); });
    await eventually('the good news', async () => {
      await withSpan('taken', {}, () => Promise.resolve());
      return log().includes('traces are exported again');
    });
    // Each once, however many batches there were.
    expect(log()).toEqual(['traces cannot be exported', 'traces are exported again']);
  });

  it.each(['hangs', 'is away'])('keeps nobody from ending when the collector %s', async (trouble) => {
    collector.answer(() => undefined);
    start(trouble === 'hangs' ? {} : { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `http://127.0.0.1:${String(await freePort())}/traces` });
    await withSpan('hanging', {}, () => Promise.resolve());
    const began = Date.now();
    await exported();
    // Two seconds are given; an export would be waited for ten.
    expect(Date.now() - began).toBeLessThan(8_000);
  });
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const { port } = server.address() as AddressInfo; // of a server that listens at TCP
  await new Promise<void>((resolve) => { server.close(() => { resolve(); }); });
  return port;
}
