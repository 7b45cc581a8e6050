import { context, createContextKey, propagation, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, type Attributes, type Context, type Span, type Tracer } from '@opentelemetry/api';

export { SpanKind, type Attributes } from '@opentelemetry/api';

/**
 * undefined unless spans are exported (`startTracing`): then everything here calls what it is given, and does nothing else. It is nobody's global provider,
 * so that no library puts spans of its own, with statements and URLs in them, beside ours.
 */
let tracer: Tracer | undefined;

export function traceWith(wanted: Tracer | undefined): void {
  tracer = wanted;
}

export function isTracing(): boolean {
  return tracer !== undefined;
}

/**
 * Runs `work` as a span under the one that is under way. What it throws is told by its class or code alone: messages may quote a row.
 *
 * @param attributes  ids of ours, route templates, names, outcomes; never what names a patient, a study or a person
 */
export async function withSpan<T>(name: string, attributes: Attributes, work: () => Promise<T>, kind: SpanKind = SpanKind.INTERNAL): Promise<T> {
  if (tracer === undefined) return work();
  return tracer.startActiveSpan(name, { kind, attributes }, async (span) => {
    try {
      return await work();
    } catch (error) {
      markFailed(span, errorTypeOf(error));
      throw error;
    } finally {
      span.end();
    }
  });
}

/** Adds to the span that is under way. @param errorType  class or code of what went wrong */
export function noteOnSpan(attributes: Attributes, errorType?: string): void {
  const span = tracer === undefined ? undefined : trace.getActiveSpan();
  span?.setAttributes(attributes);
  if (span && errorType !== undefined) markFailed(span, errorType);
}

/** What a row, a job or a header remembers of the span that is under way; undefined where none is. @see W3C Trace Context §3.2 */
export function currentTraceparent(): string | undefined {
  return tracer === undefined ? undefined : traceparentOf(context.active());
}

/** Runs `work` in the trace that was remembered; without one, or with one that cannot be read, outside of whatever is under way here. */
export function continueTrace<T>(traceparent: string | null | undefined, work: () => T): T {
  return tracer === undefined ? work() : context.with(remembered(traceparent), work);
}

/** A span that ends elsewhere than where it began. */
export interface OpenSpan {
  readonly traceparent: string | undefined;
  /** Runs `work` under it. */
  within<T>(work: () => T): T;
  /** Once. @param errorType  class or code of what went wrong */
  end(attributes?: Attributes, errorType?: string): void;
}

export interface OpenSpanOptions {
  kind?: SpanKind;
  attributes?: Attributes;
  /** Of the trace that it belongs to; without one it begins a trace. */
  parent: string | null | undefined;
  /** For every line of the log that is written under it. */
  logFields?: () => object;
}

/** undefined when nothing is traced. */
export function openSpan(name: string, { parent, logFields, kind = SpanKind.INTERNAL, attributes = {} }: OpenSpanOptions): OpenSpan | undefined {
  return tracer && opened(tracer, name, { kind, attributes }, logFields ? remembered(parent).setValue(LOG_FIELDS, logFields) : remembered(parent));
}

/** Spans one after the other, all under the one that was under way when the first could begin. */
export interface SpanSequence {
  /** Ends the one before, unless it has this name. */
  next(name: string): void;
  /** Ends the one before; until the next one nothing is under way. */
  pause(): void;
}

const NO_SEQUENCE: SpanSequence = { next: () => undefined, pause: () => undefined };

export function spanSequence(): SpanSequence {
  if (tracer === undefined) return NO_SEQUENCE;
  const [by, under] = [tracer, context.active()];
  let present: { name: string; span: OpenSpan } | undefined;
  const pause = (): void => {
    present?.span.end();
    present = undefined;
  };
  return {
    next: (name) => {
      if (present?.name === name) return;
      pause();
      present = { name, span: opened(by, name, { kind: SpanKind.INTERNAL, attributes: {} }, under) };
    },
    pause,
  };
}

/** What a line of the log says of the trace that it is written in. */
export function traceLogFields(): object {
  const active = context.active();
  const span = trace.getSpanContext(active);
  // Set by `openSpan` alone.
  const more = active.getValue(LOG_FIELDS) as (() => object) | undefined;
  return { ...more?.(), ...(span && { trace_id: span.traceId, span_id: span.spanId }) };
}

const LOG_FIELDS = createContextKey('healthvision log fields');

function opened(by: Tracer, name: string, options: { kind: SpanKind; attributes: Attributes }, under: Context): OpenSpan {
  const span = by.startSpan(name, options, under);
  const within = trace.setSpan(under, span);
  return {
    traceparent: traceparentOf(within),
    within: (work) => context.with(within, work),
    end: (attributes = {}, errorType) => {
      span.setAttributes(attributes);
      if (errorType !== undefined) markFailed(span, errorType);
      span.end();
    },
  };
}

function remembered(traceparent: string | null | undefined): Context {
  return traceparent ? propagation.extract(ROOT_CONTEXT, { traceparent }) : ROOT_CONTEXT;
}

function traceparentOf(active: Context): string | undefined {
  const carrier: { traceparent?: string } = {};
  propagation.inject(active, carrier);
  return carrier.traceparent;
}

function markFailed(span: Span, errorType: string): void {
  span.setAttribute('error.type', errorType);
  span.setStatus({ code: SpanStatusCode.ERROR });
}

/** Our code of an error, or its class; nothing of what it says. */
export function errorTypeOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  return error.name === 'AppError' && 'code' in error ? String(error.code) : error.name;
}
