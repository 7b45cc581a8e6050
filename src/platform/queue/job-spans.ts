import type { Job, JobsOptions } from 'bullmq';
import { continueTrace, errorTypeOf, isTracing, noteOnSpan, openSpan, SpanKind, withSpan, type Attributes } from '../ops/tracing.js';
import { HandBack, type JobDefinition } from './job.js';
import type { OutboxEntry } from './outbox.js';

/** What a job remembers of its trace, in the place that BullMQ has for that. */
export function remembering(traceparent: string | null | undefined): Pick<JobsOptions, 'telemetry'> {
  return traceparent ? { telemetry: { metadata: traceparent } } : {};
}

/**
 * Hands events to a queue, each under a span in the trace of what it tells of. @see OpenTelemetry, "Semantic conventions for messaging spans"
 *
 * @param send  gets what each job is to remember, in the order of the events
 */
export async function sending(queue: string, events: readonly OutboxEntry[], send: (traceparents: readonly (string | null | undefined)[]) => Promise<unknown>): Promise<void> {
  const spans = events.map(({ id, topic, traceparent }) => (traceparent === null ? undefined : openSpan(`send ${queue}`, { kind: SpanKind.PRODUCER, parent: traceparent, attributes: attributesOf(queue, 'send', id, topic) })));
  let errorType: string | undefined;
  try {
    // Another process may trace although this one does not.
    await send(events.map(({ traceparent }, index) => spans[index]?.traceparent ?? traceparent));
  } catch (error) {
    errorType = errorTypeOf(error);
    throw error;
  } finally {
    for (const span of spans) span?.end({}, errorType);
  }
}

/** Runs a handler under a span in the trace of its job; timed jobs have none, and those that only wake somebody begin theirs with the work that they find. */
export async function inJobSpan({ queue, beginsSpans }: JobDefinition, job: Job, handle: () => Promise<void>): Promise<void> {
  const traceparent = job.opts.telemetry?.metadata;
  if (!isTracing() || traceparent === undefined || beginsSpans === true) return handle();
  const handedBack = await continueTrace(traceparent, () => withSpan(`process ${queue}`, { ...attributesOf(queue, 'process', job.id ?? '', job.name), 'healthvision.job.attempt': job.attemptsMade + 1 }, async () => {
    try {
      await handle();
    } catch (error) {
      if (!(error instanceof HandBack)) throw error;
      // Nothing went wrong.
      noteOnSpan({ 'healthvision.job.handed_back': true });
      return error;
    }
    return undefined;
  }, SpanKind.CONSUMER));
  if (handedBack) throw handedBack;
}

function attributesOf(queue: string, operation: 'send' | 'process', id: string, topic: string): Attributes {
  return { 'messaging.system': 'bullmq', 'messaging.operation.type': operation, 'messaging.destination.name': queue, 'messaging.message.id': id, 'healthvision.topic': topic };
}
